/* SPDX-License-Identifier: Apache-2.0 */
import java.util.Arrays;
import java.util.Collections;
import org.apache.ignite.Ignition;
import org.apache.ignite.cache.CacheMode;
import org.apache.ignite.cache.affinity.rendezvous.RendezvousAffinityFunction;
import org.apache.ignite.configuration.CacheConfiguration;
import org.apache.ignite.configuration.ClientConnectorConfiguration;
import org.apache.ignite.configuration.DataPageEvictionMode;
import org.apache.ignite.configuration.DataRegionConfiguration;
import org.apache.ignite.configuration.DataStorageConfiguration;
import org.apache.ignite.configuration.IgniteConfiguration;
import org.apache.ignite.configuration.ThinClientConfiguration;
import org.apache.ignite.failure.FailureType;
import org.apache.ignite.failure.StopNodeOrHaltFailureHandler;
import org.apache.ignite.spi.communication.tcp.TcpCommunicationSpi;
import org.apache.ignite.spi.discovery.tcp.TcpDiscoverySpi;
import org.apache.ignite.spi.discovery.tcp.ipfinder.vm.TcpDiscoveryVmIpFinder;
import org.apache.ignite.ssl.SslContextFactory;

/**
 * One Ignite node for the tests, configured as docs/ignite.md says.  What differs between nodes comes as -D:
 * host, name, thin, discovery, communication (ports), peers (host:port,...), work (folder), chunks (MiB), and for TLS
 * keys (folder with node.p12 and ca.p12, password "pipeahead").
 */
public class IgniteService {
    private static String get(String name, String otherwise) {
        return System.getProperty("pa." + name, otherwise);
    }

    private static int port(String name) {
        return Integer.parseInt(System.getProperty("pa." + name));
    }

    private static DataRegionConfiguration region(String name, long mebibytes) {
        return new DataRegionConfiguration().setName(name).setInitialSize(16L << 20).setMaxSize(mebibytes << 20)
            .setPageEvictionMode(DataPageEvictionMode.DISABLED).setPersistenceEnabled(false);
    }

    private static SslContextFactory tls(String folder) {
        SslContextFactory factory = new SslContextFactory();
        factory.setKeyStoreType("PKCS12");
        factory.setKeyStoreFilePath(folder + "/node.p12");
        factory.setKeyStorePassword("pipeahead".toCharArray());
        factory.setTrustStoreType("PKCS12");
        factory.setTrustStoreFilePath(folder + "/ca.p12");
        factory.setTrustStorePassword("pipeahead".toCharArray());
        return factory;
    }

    private static ClientConnectorConfiguration connector() {
        ClientConnectorConfiguration connector = new ClientConnectorConfiguration().setHost(get("host", "127.0.0.1"))
            .setPort(port("thin")).setPortRange(0).setJdbcEnabled(false).setOdbcEnabled(false)
            .setIdleTimeout(Long.getLong("pa.idle", 0))
            .setThinClientConfiguration(new ThinClientConfiguration().setServerToClientExceptionStackTraceSending(true));
        if (get("keys", null) != null)
            connector.setSslEnabled(true).setSslClientAuth(true).setUseIgniteSslContextFactory(false)
                .setSslContextFactory(tls(get("keys", null)));
        return connector;
    }

    public static void main(String[] arguments) {
        String host = get("host", "127.0.0.1");
        StopNodeOrHaltFailureHandler handler = new StopNodeOrHaltFailureHandler();
        handler.setIgnoredFailureTypes(Collections.unmodifiableSet(java.util.EnumSet.of(FailureType.CRITICAL_ERROR,
            FailureType.SYSTEM_WORKER_BLOCKED, FailureType.SYSTEM_CRITICAL_OPERATION_TIMEOUT)));
        CacheConfiguration<Object, Object> hundred = new CacheConfiguration<>("hundred*")
            .setCacheMode(CacheMode.PARTITIONED).setAffinity(new RendezvousAffinityFunction(false, 100));
        TcpDiscoverySpi discovery = new TcpDiscoverySpi().setLocalPort(port("discovery")).setLocalPortRange(0)
            .setIpFinder(new TcpDiscoveryVmIpFinder().setAddresses(Arrays.asList(get("peers", "").split(","))));
        TcpCommunicationSpi communication = new TcpCommunicationSpi().setLocalPort(port("communication"))
            .setLocalPortRange(0);
        IgniteConfiguration configuration = new IgniteConfiguration().setIgniteInstanceName(get("name", "node"))
            .setConsistentId(get("name", "node")).setWorkDirectory(get("work", null)).setLocalHost(host)
            .setConnectorConfiguration(null).setFailureHandler(handler).setFailureDetectionTimeout(3000)
            .setDiscoverySpi(discovery).setCommunicationSpi(communication).setCacheConfiguration(hundred)
            .setClientConnectorConfiguration(connector()).setMetricsLogFrequency(0)
            .setDataStorageConfiguration(new DataStorageConfiguration().setPageSize(16 << 10)
                .setSystemDataRegionConfiguration(new org.apache.ignite.configuration.SystemDataRegionConfiguration()
                    .setInitialSize(10L << 20).setMaxSize(32L << 20))
                .setDefaultDataRegionConfiguration(region("default", 384))
                .setDataRegionConfigurations(region("chunks", Long.getLong("pa.chunks", 256))));
        Ignition.start(configuration);
        System.out.println("READY " + get("name", "node"));
    }
}
