#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A Jupyter kernel, by jupyter_client: results, streams, errors, input, an interrupt, a restart."""
import sys
import time

try:
    import ipykernel
    from jupyter_client.manager import KernelManager
except ImportError as e:
    print("python3-jupyter-client or python3-ipykernel is missing:", e)
    sys.exit(77)


def ask(code, **more):
    """What the kernel says to it."""
    seen = []

    def heard(m):
        c = m["content"]
        seen.append({"stream": lambda: c["text"], "execute_result": lambda: c["data"]["text/plain"],
                     "display_data": lambda: sorted(c["data"]),
                     "error": lambda: c["ename"]}.get(m["msg_type"], lambda: None)())

    r = client.execute_interactive(code, output_hook=heard, timeout=120, **more)
    print(code.splitlines()[0], r["content"]["status"], [s for s in seen if s is not None])


km = KernelManager(kernel_name="python3")
km.kernel_cmd = ["/usr/bin/python3", "-m", "ipykernel_launcher", "-f", "{connection_file}",
                 "--HistoryManager.enabled=False"]  # it may write a line twice after an interrupt
km.start_kernel()
client = km.client()
client.start_channels()
client.wait_for_ready(timeout=120)
ask("6 * 7")
ask("import sys; print('out'); sys.stderr.write('err')")
ask("1 / 0")
ask("!echo from the shell")
ask("%%bash\necho $((2 + 3))")
ask("import os, threading; threading.active_count() > 1")
ask("x = input('? ')\nprint(x)", allow_stdin=True, stdin_hook=lambda m: client.input("typed"))
ask("import matplotlib; matplotlib.use('agg'); import matplotlib.pyplot as p; f = p.figure(); p.plot([1, 2]); from IPython.display import display; display(f)")
client.execute("import time\nwhile True: time.sleep(0.01)")
while client.get_iopub_msg(timeout=60)["content"].get("execution_state") != "busy":
    pass
km.interrupt_kernel()
while True:
    reply = client.get_shell_msg(timeout=60)["content"]
    if reply["status"] == "error":
        break
print("interrupted", reply["ename"])
time.sleep(1)  # what was asked right behind an error is given up
ask("y = 1")
km.restart_kernel()
client.wait_for_ready(timeout=120)
ask("y")
km.shutdown_kernel()
print("alive", km.is_alive())
