/* SPDX-License-Identifier: Apache-2.0 */
/* What reading through a mount costs against reading tmpfs itself.  Prints one JSON document:
 *
 *   mount_bench [MiB of the large file, 512] [small files, 20000] [rounds, 5]
 *
 * Everything is resident.  The ways are measured in turn, round after round; figures are medians, and CPU is that of the
 * reader and of the server together (one process).  Ratios are to tmpfs.  Needs root. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cache/cache.h"
#include "mount/mount.h"

#define SMALL_BYTES      20480u
#define RANDOM_BYTES     4096u
#define RANDOM_READS     50000u
#define SEQUENTIAL_BYTES (1u << 20)
#define MAX_ROUNDS       99u
#define PATH_BYTES       512u

enum way { WAY_TMPFS, WAY_BIND, WAY_PASSTHROUGH, WAY_DIRECT, WAYS };
enum job { JOB_SEQUENTIAL, JOB_RANDOM, JOB_SMALL_FIRST, JOB_SMALL_AGAIN, JOBS };

static const char *const way_names[] = {"tmpfs", "bind", "passthrough", "direct"};
static const char *const job_names[] = {"sequential_1MiB", "random_4KiB", "small_files_first",
                                        "small_files_again"};

struct sample {
	double wall_s;
	double cpu_s;
};

struct bench {
	char base[64];
	char roots[WAYS][PATH_BYTES]; /* where each way shows the data set */
	uint64_t large_bytes;
	unsigned small_files;
	unsigned rounds;
	struct pa_store *store;
	struct pa_cache *cache;
	struct pa_data_set *data_set;
	struct pa_mount *mounts[WAYS];
	struct sample samples[JOBS][WAYS][MAX_ROUNDS];
};

static void give_up(const char *what, const char *why)
{
	fprintf(stderr, "mount_bench: %s: %s\n", what, why);
	exit(1);
}

static void check(int result, const char *what)
{
	if (result < 0)
		give_up(what, strerror(errno));
}

static double cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void write_file(const char *path, uint64_t bytes, char *block)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	check(fd, path);
	for (uint64_t done = 0; done < bytes;) {
		size_t part = bytes - done < SEQUENTIAL_BYTES ? (size_t)(bytes - done) : SEQUENTIAL_BYTES;
		check((int)write(fd, block, part), path);
		done += part;
	}
	close(fd);
}

static void fill(struct bench *bench, const char *source)
{
	char path[PATH_BYTES + 32];
	char *block = malloc(SEQUENTIAL_BYTES);

	for (size_t i = 0; i < SEQUENTIAL_BYTES; i++)
		block[i] = (char)(i * 2654435761u >> 13);
	snprintf(path, sizeof(path), "%s/large", source);
	write_file(path, bench->large_bytes, block);
	for (unsigned i = 0; i < bench->small_files; i++) {
		snprintf(path, sizeof(path), "%s/%u", source, i);
		write_file(path, SMALL_BYTES, block);
	}
	free(block);
}

static void load(struct bench *bench)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_extent all = {.path = "", .length_bytes = UINT64_MAX};
	struct pa_assignment assignment = {.data_set = "bench", .extent = all, .keep_until_ns = INT64_MAX};
	uint64_t resident = 0, total = 1;

	if (pa_cache_assign(bench->cache, &assignment, 1, &err) != 0)
		give_up("assign", err.message);
	while (resident != total) {
		usleep(10000);
		pa_data_set_residency(bench->data_set, &all, &resident, &total);
	}
}

static void open_cache(struct bench *bench, const char *source, const char *memory)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_store_call call = {.deadline_ns = PA_DEADLINE_NEVER};
	char location[PATH_BYTES + 8];

	snprintf(location, sizeof(location), "file://%s", source);
	struct pa_store_options store = {.location = location, .read_only = true};
	struct pa_cache_options cache = {
	    .directory = memory,
	    .quota_bytes = bench->large_bytes + (uint64_t)bench->small_files * 2 * SMALL_BYTES + (64u << 20),
	};
	struct pa_data_set_options set = {.name = "bench", .root = "", .read_only = true};
	if (pa_store_open(&store, &bench->store, &err) != 0 || pa_cache_new(&cache, &bench->cache, &err) != 0)
		give_up("open", err.message);
	set.store = bench->store;
	if (pa_cache_open_data_set(bench->cache, &set, &call, &bench->data_set, &err) != 0)
		give_up("open", err.message);
	load(bench);
}

static void open_mount(struct bench *bench, enum way way)
{
	struct pa_error err = PA_ERROR_INIT;
	struct pa_mount_view *view;
	char point[PATH_BYTES];

	snprintf(point, sizeof(point), "%s/%s", bench->base, way_names[way]);
	check(mkdir(point, 0755), point);
	struct pa_mount_options options = {
	    .mount_point = point,
	    .no_passthrough = way == WAY_DIRECT,
	};
	if (pa_mount_new(&options, &bench->mounts[way], &err) != 0 ||
	    pa_mount_add_view(bench->mounts[way], "set", bench->data_set, "", true, &view, &err) != 0)
		give_up("mount", err.message);
	if (way == WAY_PASSTHROUGH && !pa_mount_has_passthrough(bench->mounts[way]))
		give_up("mount", "no passthrough here");
	snprintf(bench->roots[way], PATH_BYTES, "%.480s/set", point);
}

static void open_all(struct bench *bench)
{
	struct pa_error err = PA_ERROR_INIT;
	char source[PATH_BYTES], memory[PATH_BYTES], resident[PATH_BYTES];

	check(unshare(CLONE_NEWNS), "a mount namespace");
	check(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
	snprintf(bench->base, sizeof(bench->base), "/tmp/mount-bench-XXXXXX");
	if (mkdtemp(bench->base) == NULL)
		give_up(bench->base, strerror(errno));
	check(mount("tmpfs", bench->base, "tmpfs", 0, "size=90%"), "tmpfs");
	snprintf(source, sizeof(source), "%s/source", bench->base);
	snprintf(memory, sizeof(memory), "%s/memory", bench->base);
	check(mkdir(source, 0755), source);
	check(mkdir(memory, 0755), memory);
	fill(bench, source);
	open_cache(bench, source, memory);
	snprintf(bench->roots[WAY_TMPFS], PATH_BYTES, "%s", source);
	if (pa_data_set_bind_path(bench->data_set, "", resident, sizeof(resident), &err) != 0)
		give_up("bind path", err.message);
	snprintf(bench->roots[WAY_BIND], PATH_BYTES, "%s/bind", bench->base);
	check(mkdir(bench->roots[WAY_BIND], 0755), "bind");
	check(mount(resident, bench->roots[WAY_BIND], NULL, MS_BIND, NULL), "bind");
	check(mount(NULL, bench->roots[WAY_BIND], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), "bind");
	open_mount(bench, WAY_PASSTHROUGH);
	open_mount(bench, WAY_DIRECT);
}

static void read_large(const struct bench *bench, enum way way, enum job job, char *block)
{
	char path[PATH_BYTES + 32];
	unsigned seed = 42;

	snprintf(path, sizeof(path), "%s/large", bench->roots[way]);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	check(fd, path);
	if (job == JOB_SEQUENTIAL)
		for (ssize_t got = 1; got > 0;)
			check((int)(got = read(fd, block, SEQUENTIAL_BYTES)), path);
	else
		for (unsigned i = 0; i < RANDOM_READS; i++) {
			uint64_t page = (uint64_t)rand_r(&seed) % (bench->large_bytes / RANDOM_BYTES);
			check((int)pread(fd, block, RANDOM_BYTES, (off_t)(page * RANDOM_BYTES)), path);
		}
	close(fd);
}

static void read_small(const struct bench *bench, enum way way, char *block)
{
	char path[PATH_BYTES + 32];

	for (unsigned i = 0; i < bench->small_files; i++) {
		snprintf(path, sizeof(path), "%s/%u", bench->roots[way], i);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		check(fd, path);
		check((int)read(fd, block, SMALL_BYTES), path);
		close(fd);
	}
}

static struct sample measure(const struct bench *bench, enum way way, enum job job, char *block)
{
	double cpu = cpu_s();
	int64_t begin_ns = pa_clock_ns();

	if (job == JOB_SEQUENTIAL || job == JOB_RANDOM)
		read_large(bench, way, job, block);
	else
		read_small(bench, way, block);
	/* A RELEASE comes after close(2). */
	int64_t end_ns = pa_clock_ns();
	usleep(2000);
	return (struct sample){(double)(end_ns - begin_ns) / 1e9, cpu_s() - cpu};
}

static void measure_all(struct bench *bench)
{
	char *block = malloc(SEQUENTIAL_BYTES);

	memset(block, 1, SEQUENTIAL_BYTES);
	for (unsigned round = 0; round < bench->rounds; round++)
		for (int way = 0; way < WAYS; way++)
			for (int job = 0; job < JOBS; job++) {
				/* "First" is with nothing of the names in the kernel. */
				int fd =
				    job == JOB_SMALL_FIRST ? open("/proc/sys/vm/drop_caches", O_WRONLY) : -1;
				if (fd >= 0 && write(fd, "2", 1) < 0)
					give_up("drop_caches", strerror(errno));
				if (fd >= 0)
					close(fd);
				bench->samples[job][way][round] = measure(bench, way, job, block);
			}
	free(block);
}

static int compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(const struct bench *bench, int job, int way, size_t member)
{
	double values[MAX_ROUNDS];

	for (unsigned i = 0; i < bench->rounds; i++)
		values[i] = *(const double *)((const char *)&bench->samples[job][way][i] + member);
	qsort(values, bench->rounds, sizeof(values[0]), compare_doubles);
	return values[bench->rounds / 2];
}

static void print_way(const struct bench *bench, int job, int way)
{
	double wall = median(bench, job, way, offsetof(struct sample, wall_s));
	double cpu = median(bench, job, way, offsetof(struct sample, cpu_s));
	double base_wall = median(bench, job, WAY_TMPFS, offsetof(struct sample, wall_s));
	double base_cpu = median(bench, job, WAY_TMPFS, offsetof(struct sample, cpu_s));
	double operations = job == JOB_SEQUENTIAL ? (double)bench->large_bytes / SEQUENTIAL_BYTES
	                    : job == JOB_RANDOM   ? RANDOM_READS
	                                          : bench->small_files;
	double bytes = job == JOB_SEQUENTIAL ? (double)bench->large_bytes
	               : job == JOB_RANDOM   ? (double)RANDOM_READS * RANDOM_BYTES
	                                     : (double)bench->small_files * SMALL_BYTES;

	printf(
	    "      \"%s\": {\"wall_s\": %.4f, \"cpu_s\": %.4f, \"MB_per_s\": %.0f, \"cpu_s_per_GB\": %.4f, "
	    "\"cpu_us_per_operation\": %.2f, \"wall_ratio\": %.2f, \"cpu_ratio\": %.2f}%s\n",
	    way_names[way], wall, cpu, bytes / 1e6 / wall, cpu / (bytes / 1e9), cpu * 1e6 / operations,
	    wall / base_wall, cpu / base_cpu, way + 1 < WAYS ? "," : "");
}

static void print_all(const struct bench *bench)
{
	printf("{\n  \"schema\": \"pipeahead/bench-mount/v1\",\n  \"large_bytes\": %llu,\n  \"small_files\": "
	       "%u,\n"
	       "  \"small_bytes\": %u,\n  \"rounds\": %u,\n  \"jobs\": {\n",
	       (unsigned long long)bench->large_bytes, bench->small_files, SMALL_BYTES, bench->rounds);
	for (int job = 0; job < JOBS; job++) {
		printf("    \"%s\": {\n", job_names[job]);
		for (int way = 0; way < WAYS; way++)
			print_way(bench, job, way);
		printf("    }%s\n", job + 1 < JOBS ? "," : "");
	}
	printf("  }\n}\n");
}

static void close_all(struct bench *bench)
{
	umount2(bench->roots[WAY_BIND], MNT_DETACH);
	pa_mount_free(bench->mounts[WAY_PASSTHROUGH]);
	pa_mount_free(bench->mounts[WAY_DIRECT]);
	pa_cache_close_data_set(bench->cache, bench->data_set);
	pa_cache_free(bench->cache);
	pa_store_unref(bench->store);
	umount2(bench->base, MNT_DETACH);
	rmdir(bench->base);
}

static unsigned argument(int count, char **values, int index, unsigned otherwise)
{
	return index < count ? (unsigned)strtoul(values[index], NULL, 10) : otherwise;
}

int main(int count, char **values)
{
	static struct bench bench;

	bench.large_bytes = (uint64_t)argument(count, values, 1, 512) << 20;
	bench.small_files = argument(count, values, 2, 20000);
	bench.rounds = argument(count, values, 3, 5);
	if (bench.large_bytes == 0 || bench.small_files == 0 || bench.rounds == 0 ||
	    bench.rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: mount_bench [MiB] [SMALL_FILES] [ROUNDS up to %u]\n", MAX_ROUNDS);
		return 2;
	}
	open_all(&bench);
	measure_all(&bench);
	print_all(&bench);
	close_all(&bench);
	return 0;
}
