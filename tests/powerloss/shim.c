/* A disk that can lose power: an LD_PRELOAD library for the durability tests (64-bit Linux).
 *
 * SIGKILL alone proves little: what a killed process wrote stays in the page cache and the next
 * process reads it back, synced or not. This library keeps an undo journal of every change to the
 * files of one folder and notes each sync that came back. `undo.py` then takes away, in reverse
 * order, whatever no sync covered: that is the disk after the plug was pulled.
 *
 *   LOCKSTEP_SHIM_DIR      the folder to watch, an absolute path
 *   LOCKSTEP_SHIM_JOURNAL  the undo journal, outside that folder
 *   LOCKSTEP_SHIM_NO_SYNC  1: syncs of watched files answer 0 and do nothing (the counter-proof)
 *   LOCKSTEP_SHIM_TRACE    optional file: "sync PATH" after a sync came back, "answer STATUS"
 *                          before a socket is handed bytes that begin an HTTP/1.1 answer
 *
 * Rules that make it honest:
 *  - The journal record goes out before the data, in one write call. Killed between the two, the
 *    undo puts back bytes that are there already; killed inside the first, the torn record is
 *    ignored, and rightly, since its data was never written.
 *  - One mutex spans reading the old bytes, the record and the data write, so records have the
 *    order of the writes. A sync runs outside it, and covers only the writes finished before it
 *    began: it names the last sequence number it may count.
 *  - Nothing is remembered about descriptors: each call asks the kernel what its descriptor is, so
 *    dup, fcntl, fopen and a reused number cannot mislead it. That costs microseconds a write.
 *
 * Not modelled: directories (a new name, an unlink and a rename count as durable at once; an
 * unlinked file, as SQLite's -wal at a clean close, is not brought back), a disk that reorders the
 * writes of one file, and writes by mmap, copy_file_range, sendfile or io_uring, which would pass
 * unseen and count as durable. Names ending in -shm (SQLite rebuilds it) or .lock are not watched.
 * One process at a time may write in the folder. The journal grows until undo.py empties it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(long) == 8, "the raw calls below pass 64-bit offsets in one register");

/* One record: this head, then the path, then the bytes that the change will overwrite or cut off.
 * A rename's path is both names with a zero byte between. undo.py reads the same layout. */
enum kind { WRITE = 1, CUT = 2, SYNC = 3, UNLINK = 4, RENAME = 5 };
#define MAGIC 0x314a534cu /* "LSJ1" */
struct head {
    uint32_t magic, kind;
    uint64_t seq;
    uint64_t offset;  /* where the old bytes belong; for SYNC the last seq that it covers */
    uint64_t old_len; /* the file's length before the change */
    uint64_t data_len;
    uint32_t path_len, zero;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *dir_asked, *journal_path, *trace_path;
static char *_Atomic dir; /* dir_asked without symbolic links, once it exists */
static int no_sync, journal_fd = -1;
static uint64_t last_seq; /* under the lock */

__attribute__((constructor)) static void read_settings(void) {
    dir_asked = getenv("LOCKSTEP_SHIM_DIR");
    journal_path = getenv("LOCKSTEP_SHIM_JOURNAL");
    trace_path = getenv("LOCKSTEP_SHIM_TRACE");
    const char *off = getenv("LOCKSTEP_SHIM_NO_SYNC");
    no_sync = off && strcmp(off, "1") == 0;
}

/* A shim that cannot do its part must not look like a test that passed. */
static void give_up(const char *what) {
    dprintf(2, "power-loss shim: %s: %s\n", what, strerror(errno));
    abort();
}

/* ---- what is watched ---- */

/* The kernel's own name of an open file; 0 when it has none. */
static int name_of(int fd, char *path) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    path[n < 0 ? 0 : n] = 0;
    return n > 0;
}

static int ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static int is_watched_name(const char *path) {
    /* Resolved late, since the program may make the folder itself; two threads that race here store
     * the same text. */
    if (!dir) dir = realpath(dir_asked, NULL);
    if (!dir) return 0;
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && path[n] == '/' && !ends_with(path, "-shm") &&
           !ends_with(path, ".lock") && !ends_with(path, " (deleted)");
}

static int is_watched(int fd, char *path) {
    struct stat st;
    if (!dir_asked) return 0;
    int kept = errno;
    int yes = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && name_of(fd, path) && is_watched_name(path);
    errno = kept;
    return yes;
}

/* The same for a name that stands in a folder, without following a last symbolic link. */
static int is_watched_at(int at, const char *name, char *path) {
    if (!dir_asked) return 0;
    int kept = errno;
    int fd = syscall(SYS_openat, at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    int yes = fd >= 0 && is_watched(fd, path);
    if (fd >= 0) syscall(SYS_close, fd);
    errno = kept;
    return yes;
}

/* ---- the journal ---- */

/* Opens it, walks to its end to go on counting, and cuts off a record torn by an earlier kill. */
static void open_journal(void) {
    struct head h;
    struct stat st;
    journal_fd = syscall(SYS_openat, AT_FDCWD, journal_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal_fd < 0 || fstat(journal_fd, &st) != 0) give_up(journal_path);
    off_t at = 0;
    while (pread(journal_fd, &h, sizeof h, at) == sizeof h && h.magic == MAGIC) {
        off_t next = at + (off_t)(sizeof h + h.path_len + h.data_len);
        if (next > st.st_size) break;
        last_seq = h.seq;
        at = next;
    }
    if (syscall(SYS_ftruncate, journal_fd, at) != 0) give_up(journal_path);
}

/* Appends one record; the lock is held. */
static void record(enum kind kind, const char *path, size_t path_len, uint64_t offset, uint64_t old_len,
                   const void *data, size_t data_len) {
    if (!journal_path) return;
    if (journal_fd < 0) open_journal();
    struct head h = {MAGIC, kind, ++last_seq, offset, old_len, data_len, (uint32_t)path_len, 0};
    struct iovec parts[] = {{&h, sizeof h}, {(void *)path, path_len}, {(void *)data, data_len}};
    ssize_t all = (ssize_t)(sizeof h + path_len + data_len);
    if (syscall(SYS_writev, journal_fd, parts, 3) != all) give_up(journal_path);
}

/* Records what a change of `len` bytes at `offset` is about to destroy; the lock is held. */
static void record_change(enum kind kind, int fd, const char *path, off_t offset, size_t len) {
    struct stat st;
    if (!journal_path) return;
    if (fstat(fd, &st) != 0) give_up(path);
    size_t there = st.st_size > offset ? (size_t)(st.st_size - offset) : 0;
    size_t want = there < len ? there : len, got = 0;
    char *old = want ? malloc(want) : NULL;
    if (want && !old) give_up("old bytes");
    int from = fd;
    while (got < want) {
        ssize_t n = pread(from, old + got, want - got, offset + (off_t)got);
        if (n < 0 && errno == EBADF && from == fd) { /* opened for writing only */
            char link[32];
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            if ((from = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0)) < 0) give_up(path);
        } else if (n <= 0) {
            give_up(path);
        } else {
            got += (size_t)n;
        }
    }
    if (from != fd) syscall(SYS_close, from);
    record(kind, path, strlen(path), (uint64_t)offset, (uint64_t)st.st_size, old, want);
    free(old);
}

/* ---- the trace ---- */

static void trace(const char *word, const char *rest, int rest_len) {
    char line[PATH_MAX + 16];
    int kept = errno;
    int fd = syscall(SYS_openat, AT_FDCWD, trace_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int n = snprintf(line, sizeof line, "%s %.*s\n", word, rest_len, rest);
    if (fd < 0 || syscall(SYS_write, fd, line, n) != n) give_up(trace_path);
    syscall(SYS_close, fd);
    errno = kept;
}

/* Notes an answer that is about to leave. Of several pipelined in one call only the first is seen,
 * so the client of a traced test sends one request at a time on a connection. */
static void trace_answer(int fd, const struct iovec *v, int parts) {
    char start[12]; /* "HTTP/1.1 202" */
    size_t n = 0;
    struct stat st;
    if (!trace_path) return;
    for (int i = 0; i < parts && n < sizeof start; i++) {
        size_t take = v[i].iov_len < sizeof start - n ? v[i].iov_len : sizeof start - n;
        memcpy(start + n, v[i].iov_base, take);
        n += take;
    }
    if (n < sizeof start || memcmp(start, "HTTP/1.1 ", 9) != 0) return;
    int kept = errno;
    if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode)) trace("answer", start + 9, 3);
    errno = kept;
}

/* ---- the intercepted calls; raw system calls stand for what libc would have done ---- */

/* `at` below zero: at the descriptor's own position. */
static ssize_t write_parts(int fd, const struct iovec *v, int parts, off_t at) {
    char path[PATH_MAX];
    int seen = is_watched(fd, path);
    if (seen) {
        size_t len = 0;
        for (int i = 0; i < parts; i++) len += v[i].iov_len;
        pthread_mutex_lock(&lock);
        struct stat st = {0};
        off_t start = at < 0 ? lseek(fd, 0, SEEK_CUR) : at;
        /* O_APPEND wins over any offset, on Linux even pwrite's. */
        if (fcntl(fd, F_GETFL) & O_APPEND && fstat(fd, &st) == 0) start = st.st_size;
        record_change(WRITE, fd, path, start, len);
    }
    ssize_t n = at < 0 ? syscall(SYS_writev, fd, v, parts) : syscall(SYS_pwritev, fd, v, parts, at, 0);
    if (seen) pthread_mutex_unlock(&lock);
    return n;
}

static ssize_t write_at(int fd, const void *buf, size_t len, off_t at) {
    struct iovec v = {(void *)buf, len};
    if (at >= 0) return write_parts(fd, &v, 1, at);
    errno = EINVAL;
    return -1;
}

ssize_t write(int fd, const void *buf, size_t len) {
    struct iovec v = {(void *)buf, len};
    trace_answer(fd, &v, 1);
    return write_parts(fd, &v, 1, -1);
}
ssize_t writev(int fd, const struct iovec *v, int parts) {
    trace_answer(fd, v, parts);
    return write_parts(fd, v, parts, -1);
}
ssize_t pwrite(int fd, const void *buf, size_t len, off_t at) { return write_at(fd, buf, len, at); }
ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t at) { return write_at(fd, buf, len, at); }
ssize_t pwritev(int fd, const struct iovec *v, int parts, off_t at) {
    if (at >= 0) return write_parts(fd, v, parts, at);
    errno = EINVAL;
    return -1;
}
ssize_t pwritev64(int fd, const struct iovec *v, int parts, off64_t at) { return pwritev(fd, v, parts, at); }

ssize_t send(int fd, const void *buf, size_t len, int flags) { return sendto(fd, buf, len, flags, NULL, 0); }
ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to, socklen_t to_len) {
    struct iovec v = {(void *)buf, len};
    trace_answer(fd, &v, 1);
    return syscall(SYS_sendto, fd, buf, len, flags, to, to_len);
}
ssize_t sendmsg(int fd, const struct msghdr *msg, int flags) {
    trace_answer(fd, msg->msg_iov, (int)msg->msg_iovlen);
    return syscall(SYS_sendmsg, fd, msg, flags);
}

int ftruncate(int fd, off_t len) {
    char path[PATH_MAX];
    int seen = len >= 0 && is_watched(fd, path);
    if (seen) {
        pthread_mutex_lock(&lock);
        record_change(CUT, fd, path, len, SIZE_MAX); /* keeps all from the new end to the old one */
    }
    int result = syscall(SYS_ftruncate, fd, len);
    if (seen) pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int fd, off64_t len) { return ftruncate(fd, len); }

int fallocate(int fd, int mode, off_t at, off_t len) {
    char path[PATH_MAX];
    int seen = is_watched(fd, path);
    if (seen && (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))) {
        errno = EOPNOTSUPP; /* the journal has no word for bytes that move */
        return -1;
    }
    if (seen) {
        int wipes = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
        pthread_mutex_lock(&lock);
        record_change(WRITE, fd, path, at, wipes ? (size_t)len : 0);
    }
    int result = syscall(SYS_fallocate, fd, mode, at, len);
    if (seen) pthread_mutex_unlock(&lock);
    return result;
}
int fallocate64(int fd, int mode, off64_t at, off64_t len) { return fallocate(fd, mode, at, len); }
int posix_fallocate(int fd, off_t at, off_t len) {
    int kept = errno, result = fallocate(fd, 0, at, len) == 0 ? 0 : errno;
    errno = kept;
    return result;
}
int posix_fallocate64(int fd, off64_t at, off64_t len) { return posix_fallocate(fd, at, len); }

static int sync_file(long call, int fd) {
    char path[PATH_MAX];
    if (!is_watched(fd, path)) return syscall(call, fd);
    if (no_sync) return 0;
    pthread_mutex_lock(&lock);
    uint64_t covered = last_seq;
    pthread_mutex_unlock(&lock);
    int result = syscall(call, fd);
    if (result == 0) {
        pthread_mutex_lock(&lock);
        record(SYNC, path, strlen(path), covered, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
        if (trace_path) trace("sync", path, (int)strlen(path));
    }
    return result;
}
int fsync(int fd) { return sync_file(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_file(SYS_fdatasync, fd); }

/* Opening with O_TRUNC is a cut like any other, so it is made one: opened without, then cut. */
static int open_file(int at, const char *name, int flags, mode_t mode) {
    struct stat st;
    int cuts = dir_asked && (flags & O_TRUNC) && (flags & O_ACCMODE) != O_RDONLY;
    int fd = syscall(SYS_openat, at, name, cuts ? flags & ~O_TRUNC : flags, mode);
    if (cuts && fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && ftruncate(fd, 0) != 0) {
        int kept = errno;
        syscall(SYS_close, fd);
        errno = kept;
        return -1;
    }
    return fd;
}

#define OPEN_WITH_MODE(at, name, flags)                                \
    mode_t mode = 0;                                                   \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) {     \
        va_list rest;                                                  \
        va_start(rest, flags);                                         \
        mode = va_arg(rest, mode_t);                                   \
        va_end(rest);                                                  \
    }                                                                  \
    return open_file(at, name, flags, mode)
int open(const char *name, int flags, ...) { OPEN_WITH_MODE(AT_FDCWD, name, flags); }
int open64(const char *name, int flags, ...) { OPEN_WITH_MODE(AT_FDCWD, name, flags); }
int openat(int at, const char *name, int flags, ...) { OPEN_WITH_MODE(at, name, flags); }
int openat64(int at, const char *name, int flags, ...) { OPEN_WITH_MODE(at, name, flags); }
int creat(const char *name, mode_t mode) { return open_file(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *name, mode_t mode) { return creat(name, mode); }

/* Names are told after the fact: a kill in between leaves records of a file that is not there any
 * more, which undo.py counts as missing. */
int unlinkat(int at, const char *name, int flags) {
    char path[PATH_MAX];
    int seen = !(flags & AT_REMOVEDIR) && is_watched_at(at, name, path);
    if (seen) pthread_mutex_lock(&lock);
    int result = syscall(SYS_unlinkat, at, name, flags);
    if (seen && result == 0) record(UNLINK, path, strlen(path), 0, 0, NULL, 0);
    if (seen) pthread_mutex_unlock(&lock);
    return result;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

int rename(const char *from, const char *to) {
    char both[2 * PATH_MAX];
    int seen = is_watched_at(AT_FDCWD, from, both);
    if (seen) pthread_mutex_lock(&lock);
    int result = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    size_t n = seen ? strlen(both) + 1 : 0;
    /* Moved out of the folder: no longer ours, told as an unlink. */
    if (seen && result == 0 && is_watched_at(AT_FDCWD, to, both + n))
        record(RENAME, both, n + strlen(both + n), 0, 0, NULL, 0);
    else if (seen && result == 0)
        record(UNLINK, both, n - 1, 0, 0, NULL, 0);
    if (seen) pthread_mutex_unlock(&lock);
    return result;
}
