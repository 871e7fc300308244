/* SPDX-License-Identifier: Apache-2.0 */
/* Passthrough or direct I/O.  The kernel's rules for one inode, measured:  passthrough handles share one backing file and
 * allow no direct handle to open beside them (EIO); beside direct handles everything may open, but a mapping of one may
 * have put the inode into cached mode, which forbids passthrough.  So while anything is open the mode stays, and
 * it is chosen when nothing is.  A handle counts from before its OPEN is answered until its RELEASE comes.
 *
 * Two opens do not fit a live passthrough inode: one that writes (its writes must come to us), and one of a file whose
 * content has been replaced (another backing file).  Such an open retires the node and answers ESTALE: the kernel
 * then looks the name up again, gets a new node for the same inode, and opens that; the handles of the old one
 * go on as they are.  Until that open has come the inode's new nodes are direct, so that no reader gets in between. */
#include "mount/mount_internal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define EXPECTED_NS (100 * PA_NS_PER_MS) /* an open is sent back and comes again in far less */

static pthread_mutex_t *mode_lock(struct pa_mount *mount, uint32_t node)
{
	return &mount->mode_locks[node % PA_MODE_LOCKS];
}

static int32_t backing_open(int fuse_fd, int fd)
{
	struct fuse_backing_map map = {.fd = fd};

	return ioctl(fuse_fd, FUSE_DEV_IOC_BACKING_OPEN, &map);
}

static void backing_close(int fuse_fd, int32_t backing_id)
{
	uint32_t id = (uint32_t)backing_id;

	ioctl(fuse_fd, FUSE_DEV_IOC_BACKING_CLOSE, &id);
}

bool pa_mode_probe(int fuse_fd)
{
	int fd = memfd_create("pipeahead-probe", MFD_CLOEXEC);

	if (fd < 0)
		return false;
	int32_t id = backing_open(fuse_fd, fd);
	if (id > 0)
		backing_close(fuse_fd, id);
	close(fd);
	return id > 0;
}

static int retire(struct pa_mount *mount, uint32_t node)
{
	struct pa_node_record *record = &mount->table.nodes[node];

	pthread_mutex_lock(&mount->lock);
	record->flags |= PA_NODE_RETIRED;
	mount->expected[mount->expected_next++ % PA_EXPECTED_OPENS] =
	    (struct pa_expected_open){record->view, record->inode, pa_clock_deadline(EXPECTED_NS)};
	pthread_mutex_unlock(&mount->lock);
	return -ESTALE;
}

/* Whether an open that was sent back is on its way here.  `arrived`: this is it. */
static bool is_expected(struct pa_mount *mount, uint32_t node, bool arrived)
{
	const struct pa_node_record *record = &mount->table.nodes[node];
	int64_t now_ns = pa_clock_ns();
	bool expected = false;

	pthread_mutex_lock(&mount->lock);
	for (size_t i = 0; i < PA_EXPECTED_OPENS; i++) {
		struct pa_expected_open *open = &mount->expected[i];
		if (open->inode != record->inode || open->view != record->view || open->until_ns <= now_ns)
			continue;
		expected = true;
		if (arrived)
			open->until_ns = 0;
	}
	pthread_mutex_unlock(&mount->lock);
	return expected;
}

/* Passthrough handles are open: one more of the same, or ESTALE. */
static int choose_beside_passthrough(struct pa_mount *mount, uint32_t node, struct pa_file *file, bool writes,
                                     struct pa_mode *ret)
{
	struct pa_node_record *record = &mount->table.nodes[node];
	struct stat status;

	int fd = writes ? -1 : pa_file_hold_whole(file);
	if (fd < 0)
		return retire(mount, node);
	if (fstat(fd, &status) != 0 || status.st_ino != record->backing_inode) {
		pa_file_release_whole(file);
		return retire(mount, node);
	}
	record->passthrough_opens++;
	ret->passthrough = true;
	ret->backing_id = record->backing_id;
	return 0;
}

/* Nothing is open: passthrough if the file is whole. */
static bool choose_passthrough(struct pa_mount *mount, uint32_t node, struct pa_file *file,
                               struct pa_mode *ret)
{
	struct pa_node_record *record = &mount->table.nodes[node];
	struct stat status;

	int fd = pa_file_hold_whole(file);
	if (fd < 0)
		return false;
	ret->whole = true;
	if (fstat(fd, &status) == 0) {
		int32_t id = backing_open(mount->fuse_fd, fd);
		if (id > 0) {
			record->backing_id = id;
			record->backing_inode = status.st_ino;
			record->passthrough_opens = 1;
			ret->passthrough = true;
			ret->backing_id = id;
			return true;
		}
	}
	pa_file_release_whole(file);
	return false;
}

int pa_mode_choose(struct pa_mount *mount, uint32_t node, struct pa_file *file, bool writes,
                   struct pa_mode *ret)
{
	struct pa_node_record *record = &mount->table.nodes[node];
	int result = 0;

	*ret = (struct pa_mode){0};
	pthread_mutex_lock(mode_lock(mount, node));
	if (record->passthrough_opens != 0) {
		result = choose_beside_passthrough(mount, node, file, writes, ret);
		ret->whole = ret->passthrough;
	} else if (is_expected(mount, node, writes) || writes || record->direct_opens != 0 ||
	           !mount->passthrough || !choose_passthrough(mount, node, file, ret)) {
		record->direct_opens++;
	}
	pthread_mutex_unlock(mode_lock(mount, node));
	/* Only a writer has something to flush at close. */
	ret->open_flags =
	    (ret->passthrough ? FOPEN_PASSTHROUGH : FOPEN_DIRECT_IO) | (writes ? 0 : FOPEN_NOFLUSH);
	return result;
}

void pa_mode_end(struct pa_mount *mount, uint32_t node, struct pa_file *file, bool passthrough)
{
	struct pa_node_record *record = &mount->table.nodes[node];

	pthread_mutex_lock(mode_lock(mount, node));
	if (!passthrough) {
		record->direct_opens--;
	} else {
		if (--record->passthrough_opens == 0)
			backing_close(mount->fuse_fd, record->backing_id);
		pa_file_release_whole(file);
	}
	pthread_mutex_unlock(mode_lock(mount, node));
}
