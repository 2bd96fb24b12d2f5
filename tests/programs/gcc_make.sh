#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gcc and make: a project of fifty files with -j2, rebuilt once, run.
command -v gcc >/dev/null && command -v make >/dev/null || { echo "gcc or make is missing"; exit 77; }
set -e
mkdir p && cd p
for i in $(seq 50); do
    printf '#include "all.h"\nint f%d(int x) { return x * %d + (int)strlen("%d"); }\n' $i $i $i >f$i.c
done
{ echo '#include <string.h>'; for i in $(seq 50); do echo "int f$i(int);"; done; } >all.h
{ echo '#include <stdio.h>'; echo '#include "all.h"'; echo 'int main(void) { int s = 0;'
  for i in $(seq 50); do echo "s += f$i($i);"; done; printf '%s\n' 'printf("%d\n", s); return 0; }'; } >main.c
printf 'OBJ := $(patsubst %%.c,%%.o,$(wildcard *.c))\nprog: $(OBJ)\n\t@$(CC) -o $@ $^\n%%.o: %%.c all.h\n\t@$(CC) -O1 -c -o $@ $<\nclean:\n\t@rm -f *.o prog\n' >Makefile
make -s -j2 && ./prog && ls *.o | wc -l
touch f7.c && make -n | grep -c 'f7\.c' && make -s && ./prog
gcc -g -O2 -shared -fPIC -o libf.so f1.c f2.c && gcc -o dyn -x c - -L. -lf -Wl,-rpath,. <<'EOF'
#include <stdio.h>
int f1(int); int f2(int);
int main(void) { printf("dyn %d\n", f1(1) + f2(2)); return 3; }
EOF
./dyn || echo "status $?"
gcc -static -o stat main.c f*.o && ./stat && file -b prog 2>/dev/null | cut -c1-10; nm prog | grep -c ' T f[0-9]'
make -s clean; ls | wc -l
echo 'int main(void) { return x; }' | gcc -x c - -o bad 2>/dev/null || echo "bad $?"
