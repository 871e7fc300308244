/* SPDX-License-Identifier: Apache-2.0 */
#include "mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "mount/mount_internal.h"

#define DEFAULT_THREADS    64
#define MINIMUM_THREADS    2
#define MAXIMUM_THREADS    1024
#define DEFAULT_TIMEOUT_NS (120 * PA_NS_PER_SECOND)
#define MAX_PAGES          256 /* 1 MiB; more gave nothing */
#define MAX_BACKGROUND     64
#define READ_AHEAD_KIB     1024             /* for mappings of files that are on their way */
#define CLOSE_NS           PA_NS_PER_SECOND /* for what is still open when the mount ends */

static const uint64_t wanted_features = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                                        FUSE_DO_READDIRPLUS | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS |
                                        FUSE_MAX_PAGES | FUSE_INIT_EXT | FUSE_DIRECT_IO_ALLOW_MMAP;

/* Answers the kernel's first request.  No others come before that. */
static int negotiate(struct pa_mount *mount, bool want_passthrough, struct pa_error *err)
{
	union {
		struct {
			struct fuse_in_header header;
			struct fuse_init_in init;
		} in;
		char bytes[FUSE_MIN_READ_BUFFER];
	} request;

	ssize_t bytes;
	do
		bytes = read(mount->fuse_fd, &request, sizeof(request));
	while (bytes < 0 && errno == EINTR);
	if (bytes < 0)
		return pa_error_set_errno(err, errno, "mount: no greeting from the kernel at %s",
		                          mount->mount_point);
	if ((size_t)bytes < sizeof(request.in.header) + offsetof(struct fuse_init_in, flags2) ||
	    request.in.header.opcode != FUSE_INIT || request.in.init.major != FUSE_KERNEL_VERSION ||
	    request.in.init.minor < PA_FUSE_MINOR_VERSION_MIN)
		return pa_error_set(
		    err, PA_ERROR_PERMANENT,
		    "mount: the kernel's FUSE protocol is older than %d.%d: use Linux 5.4 or later",
		    FUSE_KERNEL_VERSION, PA_FUSE_MINOR_VERSION_MIN);
	const struct fuse_init_in *in = &request.in.init;
	uint64_t offered = in->flags;
	if ((in->flags & FUSE_INIT_EXT) != 0)
		offered |= (uint64_t)in->flags2 << 32;
	mount->passthrough = want_passthrough && (offered & FUSE_PASSTHROUGH) != 0;
	uint64_t flags = offered & (wanted_features | (mount->passthrough ? FUSE_PASSTHROUGH : 0));
	struct pa_fuse_init_out out = {
	    .major = FUSE_KERNEL_VERSION,
	    .minor = in->minor < PA_FUSE_MINOR_VERSION ? in->minor : PA_FUSE_MINOR_VERSION,
	    .max_readahead = READ_AHEAD_KIB << 10,
	    .flags = (uint32_t)flags,
	    .flags2 = (uint32_t)(flags >> 32),
	    .max_background = MAX_BACKGROUND,
	    .congestion_threshold = MAX_BACKGROUND * 3 / 4,
	    .max_write = PA_MOUNT_MAX_IO_BYTES,
	    .time_gran = 1,
	    .max_pages = MAX_PAGES,
	    .max_stack_depth = mount->passthrough ? 1 : 0,
	};
	int result = pa_mount_send(mount, request.in.header.unique, 0, &out, sizeof(out));
	if (result != 0)
		return pa_error_set_errno(err, -result, "mount: the kernel refused our greeting at %s",
		                          mount->mount_point);
	if (mount->passthrough)
		mount->passthrough = pa_mode_probe(mount->fuse_fd);
	return 0;
}

static int mount_attach(struct pa_mount *self, struct pa_error *err)
{
	char options[128];

	self->fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (self->fuse_fd < 0)
		return pa_error_set_errno(err, errno,
		                          "mount: cannot open /dev/fuse (is the fuse module loaded?)");
	snprintf(options, sizeof(options),
	         "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other,default_permissions", self->fuse_fd,
	         geteuid(), getegid());
	if (mount("pipeahead", self->mount_point, "fuse.pipeahead", MS_NOSUID | MS_NODEV, options) != 0)
		return pa_error_set_errno(err, errno,
		                          "mount: cannot mount at %s (needs root, or CAP_SYS_ADMIN in a user "
		                          "namespace of its own)",
		                          self->mount_point);
	self->mounted = true;
	return 0;
}

/* Mappings of direct files are filled by the kernel's read-ahead, which is 128 KiB unless told.  It is a matter of
 * speed: where sysfs is not ours to write, it stays. */
static void raise_read_ahead(struct pa_mount *mount, unsigned major_number)
{
	char path[96], value[16];

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major_number, mount->device_minor);
	int length = snprintf(value, sizeof(value), "%d", READ_AHEAD_KIB);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, value, (size_t)length) < 0)
		pa_log(PA_LOG_DEBUG, "%s: %s stays as it is", mount->mount_point, path);
	close(fd);
}

/* After the threads run: a stat is a request. */
static void learn_device(struct pa_mount *mount)
{
	struct stat status;

	if (stat(mount->mount_point, &status) != 0)
		return;
	mount->device_minor = minor(status.st_dev);
	raise_read_ahead(mount, major(status.st_dev));
}

static int mount_allocate(struct pa_mount *mount, struct pa_error *err)
{
	mount->views = calloc(PA_MOUNT_MAX_VIEWS, sizeof(*mount->views));
	mount->files = mmap(NULL, sizeof(*mount->files) * PA_TABLE_HANDLES, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mount->files == MAP_FAILED)
		mount->files = NULL;
	if (mount->views == NULL || mount->files == NULL || mount->mount_point == NULL)
		return pa_error_set_errno(err, ENOMEM, "mount: tables");
	pthread_mutex_init(&mount->lock, NULL);
	pthread_cond_init(&mount->view_idle, NULL);
	for (size_t i = 0; i < PA_MODE_LOCKS; i++)
		pthread_mutex_init(&mount->mode_locks[i], NULL);
	return pa_table_new(&mount->table, err);
}

static uint32_t thread_limit(uint32_t wanted)
{
	if (wanted == 0)
		return DEFAULT_THREADS;
	if (wanted < MINIMUM_THREADS)
		return MINIMUM_THREADS;
	return wanted < MAXIMUM_THREADS ? wanted : MAXIMUM_THREADS;
}

int pa_mount_new(const struct pa_mount_options *options, struct pa_mount **ret, struct pa_error *err)
{
	struct pa_mount *mount = calloc(1, sizeof(*mount));

	if (mount == NULL)
		return pa_error_set_errno(err, ENOMEM, "mount");
	mount->fuse_fd = -1;
	mount->mount_point = strdup(options->mount_point);
	mount->thread_limit = thread_limit(options->thread_limit);
	mount->read_timeout_ns =
	    options->read_timeout_ns != 0 ? options->read_timeout_ns : DEFAULT_TIMEOUT_NS;
	int result = mount_allocate(mount, err);
	if (result == 0)
		result = mount_attach(mount, err);
	if (result == 0)
		result = negotiate(mount, !options->no_passthrough, err);
	if (result == 0)
		result = pa_pool_new(mount, &mount->pool, err);
	if (result != 0) {
		pa_mount_free(mount);
		return result;
	}
	learn_device(mount);
	*ret = mount;
	return 0;
}

/* Ends the connection, whoever still has something of it open or bound elsewhere. */
static void mount_detach(struct pa_mount *mount)
{
	char path[96];

	if (!mount->mounted || umount2(mount->mount_point, MNT_FORCE | MNT_DETACH) == 0)
		return;
	/* Somebody unmounted it before us; bind mounts may keep the connection alive. */
	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", mount->device_minor);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) < 0)
		pa_log(PA_LOG_WARNING, "%s: cannot end the FUSE connection by %s", mount->mount_point, path);
	close(fd);
}

/* The kernel sends no RELEASE after the end. */
static void close_all_handles(struct pa_mount *mount)
{
	struct pa_store_call call = {.deadline_ns = pa_clock_deadline(CLOSE_NS)};

	for (uint32_t handle = 1; handle < pa_table_handle_end(&mount->table); handle++)
		if ((mount->table.handles[handle].flags & PA_HANDLE_LIVE) != 0)
			pa_handle_close(mount, pa_table_handle_id(&mount->table, handle), &call);
}

void pa_mount_free(struct pa_mount *mount)
{
	if (mount == NULL)
		return;
	if (mount->pool != NULL)
		pa_pool_stop(mount->pool);
	mount_detach(mount);
	if (mount->pool != NULL)
		pa_pool_free(mount->pool);
	if (mount->table.header != NULL) {
		close_all_handles(mount);
		pa_view_free_all(mount);
		pa_table_free(&mount->table);
		for (size_t i = 0; i < PA_MODE_LOCKS; i++)
			pthread_mutex_destroy(&mount->mode_locks[i]);
		pthread_cond_destroy(&mount->view_idle);
		pthread_mutex_destroy(&mount->lock);
	}
	if (mount->fuse_fd >= 0)
		close(mount->fuse_fd);
	if (mount->files != NULL)
		munmap(mount->files, sizeof(*mount->files) * PA_TABLE_HANDLES);
	free(mount->views);
	free(mount->mount_point);
	free(mount);
}

bool pa_mount_has_passthrough(const struct pa_mount *mount)
{
	return mount->passthrough;
}
