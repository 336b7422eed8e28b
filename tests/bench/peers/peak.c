/* Runs a command and prints its peak resident memory in KiB as the last line of stderr. A program of its own, because
   Linux counts what the process held before it became the command, and this one holds less than any command.
   usage: peak COMMAND ARG … */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  pid_t child = argc > 1 ? vfork() : -1;
  if (child == 0) {
    execv(argv[1], argv + 1);
    _exit(127);
  }
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
    return 1;
  }
  struct rusage usage;
  getrusage(RUSAGE_CHILDREN, &usage);
  fprintf(stderr, "%ld\n", usage.ru_maxrss);
  return WEXITSTATUS(status);
}
