/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that takes the signals: the run's own may be waiting for a source, and what it waits for is then
 * cancelled. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "run/run_internal.h"

static void *watch(void *context)
{
	struct pa_run *run = context;
	struct pollfd polled[] = {
	    {.fd = run->options->signal_fd, .events = POLLIN},
	    {.fd = run->stop_fd, .events = POLLIN},
	};
	struct signalfd_siginfo info;

	for (;;) {
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (polled[1].revents != 0)
			return NULL;
		while (read(run->options->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
			__atomic_add_fetch(&run->signals, 1, __ATOMIC_RELEASE);
			__atomic_store_n(&run->cancel, 1, __ATOMIC_RELAXED);
			eventfd_write(run->wake_fd, 1);
		}
	}
}

int run_watch_begin(struct pa_run *run, struct pa_error *err)
{
	run->stop_fd = run->wake_fd = -1;
	if (run->options->signal_fd < 0)
		return 0;
	run->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	run->stop_fd = eventfd(0, EFD_CLOEXEC);
	int failed = run->wake_fd < 0 || run->stop_fd < 0 ? errno : 0;
	if (failed == 0)
		failed = pthread_create(&run->watcher, NULL, watch, run);
	if (failed == 0)
		return 0;
	if (run->stop_fd >= 0)
		close(run->stop_fd);
	run->stop_fd = -1;
	run_watch_end(run);
	return pa_error_set_errno(err, failed, "signals cannot be watched for");
}

void run_watch_end(struct pa_run *run)
{
	if (run->stop_fd >= 0) {
		eventfd_write(run->stop_fd, 1);
		pthread_join(run->watcher, NULL);
		close(run->stop_fd);
	}
	if (run->wake_fd >= 0)
		close(run->wake_fd);
	run->stop_fd = run->wake_fd = -1;
}

int run_signals(const struct pa_run *run)
{
	return __atomic_load_n(&run->signals, __ATOMIC_ACQUIRE);
}
