/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel's FUSE protocol has beyond <linux/fuse.h> of the C library's headers (7.38): names, values and
 * layouts are those of the kernel ABI, 7.40.  Features are asked for by INIT flag, never by version. */
#ifndef PA_MOUNT_FUSE_KERNEL_EXTRA_H
#define PA_MOUNT_FUSE_KERNEL_EXTRA_H

#include <stdint.h>
#include <sys/ioctl.h>

#include <linux/fuse.h>

#ifndef FUSE_PASSTHROUGH
#define FUSE_DIRECT_IO_ALLOW_MMAP (1ULL << 36)
#define FUSE_PASSTHROUGH          (1ULL << 37)
#define FOPEN_PASSTHROUGH         (1 << 7)

struct fuse_backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};

#define FUSE_DEV_IOC_BACKING_OPEN  _IOW(FUSE_DEV_IOC_MAGIC, 1, struct fuse_backing_map)
#define FUSE_DEV_IOC_BACKING_CLOSE _IOW(FUSE_DEV_IOC_MAGIC, 2, uint32_t)
#endif

/* The last version whose structures we use; a newer kernel then speaks this one. */
#define PA_FUSE_MINOR_VERSION     40
#define PA_FUSE_MINOR_VERSION_MIN 31

/* fuse_init_out and fuse_open_out with the fields that older headers call unused and padding. */
struct pa_fuse_init_out {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint16_t max_background;
	uint16_t congestion_threshold;
	uint32_t max_write;
	uint32_t time_gran;
	uint16_t max_pages;
	uint16_t map_alignment;
	uint32_t flags2;
	uint32_t max_stack_depth;
	uint32_t unused[6];
};

struct pa_fuse_open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};

_Static_assert(sizeof(struct pa_fuse_init_out) == sizeof(struct fuse_init_out), "kernel ABI");
_Static_assert(sizeof(struct pa_fuse_open_out) == sizeof(struct fuse_open_out), "kernel ABI");

#endif
