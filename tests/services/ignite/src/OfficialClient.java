/* SPDX-License-Identifier: Apache-2.0 */
import java.util.Arrays;
import java.util.UUID;
import org.apache.ignite.Ignition;
import org.apache.ignite.client.ClientCache;
import org.apache.ignite.client.IgniteClient;
import org.apache.ignite.configuration.ClientConfiguration;

/**
 * The official thin client as the other side of the conformance test: what it writes we must read, and what we write
 * it must read.  usage: OfficialClient ADDRESS write|check CACHE
 */
public class OfficialClient {
    private static final int[] SIZES = {0, 1, 100, 4096, 70000, 1048576};

    /** Byte i of the value of `size` bytes, also known to the test in C. */
    static byte[] pattern(int size) {
        byte[] value = new byte[size];
        for (int i = 0; i < size; i++)
            value[i] = (byte)(i * 31 + (i >> 8) + size);
        return value;
    }

    private static Object[] keys(int size) {
        return new Object[] {(long)size, -1L - size, 0x123456789abcdefL * (size + 1),
            new UUID(0x0123456789abcdefL + size, 0xfedcba9876543210L - size), "plain/" + size,
            "schlüssel \u00e9\u4e2d\uD83D\uDE80/" + size};
    }

    private static void write(ClientCache<Object, byte[]> cache) {
        for (int size : SIZES)
            for (Object key : keys(size))
                cache.put(key, pattern(size));
    }

    private static void check(ClientCache<Object, byte[]> cache) {
        for (int size : SIZES)
            for (Object key : keys(size))
                if (!Arrays.equals(cache.get(key), pattern(size)))
                    throw new IllegalStateException("key " + key + " of size " + size + " differs");
        if (cache.size() != SIZES.length * keys(0).length)
            throw new IllegalStateException("the cache holds " + cache.size() + " entries");
    }

    public static void main(String[] arguments) throws Exception {
        ClientConfiguration configuration = new ClientConfiguration().setAddresses(arguments[0]);
        try (IgniteClient client = Ignition.startClient(configuration)) {
            ClientCache<Object, byte[]> cache = client.getOrCreateCache(arguments[2]);
            if (arguments[1].equals("write"))
                write(cache);
            else
                check(cache);
        }
        System.out.println("OK " + arguments[1]);
    }
}
