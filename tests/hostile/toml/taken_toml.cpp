// SPDX-License-Identifier: Apache-2.0
//
// The reader of profiles after it was taken over: sbx starts it as it starts the real one (cli/toml.c), it puts
// up the same fence (sbx_toml.cpp's own, unless it is built without), and then does what the profile says:
// one line, a deed and what it aims at. What it learns it says as a profile: env = "GOT=...".
#define main reader_main
#include "cli/toml/sbx_toml.cpp"
#undef main

#include <arpa/inet.h>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace {

void got(const std::string &what)
{
    json_t *o = json_object(), *keys = json_array(), *key = json_object(), *values = json_array(), *v = json_object();

    json_object_set_new(v, "line", json_integer(1));
    json_object_set_new(v, "type", json_string("string"));
    json_object_set_new(v, "text", json_string(("GOT=" + what).c_str()));
    json_array_append_new(values, v);
    json_object_set_new(key, "key", json_string("env"));
    json_object_set_new(key, "line", json_integer(1));
    json_object_set_new(key, "list", json_false());
    json_object_set_new(key, "values", values);
    json_array_append_new(keys, key);
    json_object_set_new(o, "keys", keys);
    char *text = json_dumps(o, JSON_COMPACT);
    (void)!write(1, text, strlen(text));
    _exit(0);
}

std::string deed(const std::string &what, const std::string &at)
{
    char buf[100] = "";

    if (what == "read") {
        int fd = open(at.c_str(), O_RDONLY);
        ssize_t n = read(fd, buf, sizeof buf - 1);

        return n > 0 ? std::string(buf, strcspn(buf, "\n")) : "";
    }
    if (what == "write") {
        int fd = open(at.c_str(), O_WRONLY | O_TRUNC);

        return write(fd, "changed", 7) == 7 ? "written" : "";
    }
    if (what == "remove")
        return unlink(at.c_str()) == 0 ? "removed" : "";
    if (what == "inherited") { // a descriptor of sbx's own
        for (int fd = 3; fd < 1024; fd++)
            if (lseek(fd, 0, SEEK_CUR) >= 0 || errno == ESPIPE)
                return "descriptor " + std::to_string(fd);
        return "";
    }
    if (what == "kill")
        return kill(std::stoi(at), SIGKILL) == 0 ? "killed" : "";
    if (what == "ptrace")
        return ptrace(PTRACE_ATTACH, std::stoi(at), nullptr, nullptr) == 0 ? "attached" : "";
    if (what == "connect") {
        sockaddr_in to{};

        to.sin_family = AF_INET;
        to.sin_port = htons(static_cast<uint16_t>(std::stoi(at)));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        return connect(fd, reinterpret_cast<sockaddr *>(&to), sizeof to) == 0 ? "connected" : "";
    }
    if (what == "exec") {
        char *none[] = { nullptr };

        execve(at.c_str(), none, none);
        return "";
    }
    if (what == "fork") {
        pid_t pid = fork();

        if (pid == 0)
            _exit(0);
        return pid > 0 && waitpid(pid, nullptr, 0) == pid ? "a child" : "";
    }
    if (what == "code") {
        void *p = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return p != MAP_FAILED ? "new code" : "";
    }
    if (what == "call") // each number, with nothing
        return syscall(std::stoi(at), -1, 0, 0, 0, 0, 0) != -1 || errno != ENOSYS ? "it is let through" : "";
    if (what == "memory") {
        size_t n = 0;

        while (n < 600 && mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) !=
                              MAP_FAILED)
            n++;
        return n > 300 ? std::to_string(n) + " MiB" : "";
    }
    if (what == "spin")
        for (;;)
            ;
    if (what == "flood") // more than anybody reads
        for (;;)
            if (write(1, buf, sizeof buf) < 0)
                return "";
    return "no such deed";
}

} // namespace

int main()
{
#ifndef UNFENCED
    if (!fence())
        return 4;
#endif
    std::string text = slurp();

    text.erase(text.find_last_not_of("\n") + 1);
    size_t n = text.find(' ');
    got(deed(text.substr(0, n), n == std::string::npos ? "" : text.substr(n + 1)));
}
