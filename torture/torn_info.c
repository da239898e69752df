/* What the kernel and C allow: a wait for signals that a stop interrupts leaves anything in its
 * info. Here it looks like a SIGUSR1 of another process, whatever lies on the stack: preload it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info,
                 const struct timespec *restrict timeout) {
  int result = (int)syscall(SYS_rt_sigtimedwait, set, info, timeout, _NSIG / 8);
  if (result == -1 && errno == EINTR && info) {
    memset(info, 0, sizeof *info);
    info->si_signo = SIGUSR1;
    info->si_code = SI_USER;
  }
  return result;
}

int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict info) {
  return sigtimedwait(set, info, NULL);
}
