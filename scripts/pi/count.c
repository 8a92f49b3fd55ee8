/* A QEMU plugin that counts the instructions that each thread of an emulated program executes. The
 * counts are in a file that the program may map too: 64 counters of 64 bits, first the main thread's.
 *
 *     qemu-aarch64 -plugin file=count.so,into=FILE PROGRAM
 */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The part of QEMU's plugin interface that is used here. Debian 12 has no package with the header. */
struct qemu_plugin_tb;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block,
                                          void (*)(unsigned int, void *), int flags, void *data);
int qemu_plugin_version = PLUGIN_VERSION;

enum { THREADS = 64 };
static uint64_t *counters;

static void executed(unsigned int thread, void *instructions)
{
    counters[thread % THREADS] += (uintptr_t)instructions;
}

static void translated(uint64_t id, struct qemu_plugin_tb *block)
{
    qemu_plugin_register_vcpu_tb_exec_cb(block, executed, 0, (void *)qemu_plugin_tb_n_insns(block));
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    const size_t size = THREADS * sizeof *counters;
    int file;

    if (argc != 1 || strncmp(argv[0], "into=", 5) != 0)
        return -1;
    file = open(argv[0] + 5, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (file < 0 || ftruncate(file, size) != 0)
        return -1;
    counters = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (counters == MAP_FAILED)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
