/* The system calls that a task cannot do without, and nothing else.
   usage: floor { lock FILE | list DIRECTORY | read FILE | replace FILE BYTES | print BYTES } … */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static char buffer[1 << 16];

static void must(int is_well, const char *what) {
  if (!is_well) {
    perror(what);
    exit(1);
  }
}

static void replace(const char *file, size_t bytes) {
  char new[4096], directory[4096];
  snprintf(new, sizeof new, "%s.new", file);
  snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(file, '/') - file), file);
  int fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  must(fd >= 0, new);
  must(write(fd, buffer, bytes) == (ssize_t)bytes, new);
  must(fsync(fd) == 0, new);
  close(fd);
  must(rename(new, file) == 0, file);
  fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  must(fd >= 0 && fsync(fd) == 0, directory);
  close(fd);
}

int main(int argc, char **argv) {
  for (int n = 1; n + 1 < argc; n += 2) {
    const char *task = argv[n], *on = argv[n + 1];
    if (strcmp(task, "lock") == 0) {
      int fd = open(on, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      must(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0, on);
    } else if (strcmp(task, "list") == 0) {
      DIR *directory = opendir(on);
      must(directory != NULL, on);
      while (readdir(directory) != NULL) {
      }
      closedir(directory);
    } else if (strcmp(task, "read") == 0) {
      int fd = open(on, O_RDONLY | O_CLOEXEC);
      must(fd >= 0, on);
      must(read(fd, buffer, sizeof buffer) >= 0, on);
      close(fd);
    } else if (strcmp(task, "replace") == 0 && n + 2 < argc) {
      replace(on, strtoul(argv[n++ + 2], NULL, 10));
    } else if (strcmp(task, "print") == 0) {
      must(write(1, buffer, strtoul(on, NULL, 10)) >= 0, "stdout");
    } else {
      fprintf(stderr, "floor: what is %s?\n", task);
      return 2;
    }
  }
  return 0;
}
