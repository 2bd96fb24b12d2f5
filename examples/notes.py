#!/usr/bin/env python3
"""What a program sees and what it leaves behind: nothing that it writes reaches the host."""
import os
import pathlib

print("home:", os.environ["HOME"], os.listdir(os.environ["HOME"]))
print("root:", sorted(os.listdir("/")))
here = pathlib.Path("scratch.txt")
here.write_text("written inside\n")
print("wrote", here.absolute(), "- gone when this ends")
try:
    print(open("/etc/shadow").read()[:20])
except OSError as e:
    print("/etc/shadow:", e.strerror)
