#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# perl: processes, pipes, signals, sockets, sorting.
command -v perl >/dev/null || { echo "perl is missing"; exit 77; }
perl -e 'print join(",", map { $_ ** 2 } 1..10), "\n"'
perl -we 'use strict; pipe(my $r, my $w); if (my $p = fork) { close $w; print "got ", <$r>; waitpid $p, 0; print $? >> 8, "\n" } else { close $r; print $w "child\n"; close $w; exit 4 }'
perl -e '$SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 1; select undef, undef, undef, 5; }; print $@'
perl -MSocket -e 'socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); syswrite A, "x" x 10; sysread B, $b, 100; print length $b, "\n"'
perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die; if (fork) { $c = $s->accept; print <$c>; wait } else { $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $s->sockport); print $c "tcp\n"; exit }'
perl -e 'open F, ">", "f"; print F "$_\n" for 1..50000; close F; open F, "f"; $s += $_ while <F>; print "$s\n"; print -s "f", "\n"'
perl -ne 'print if $. % 10000 == 0' f; perl -i -pe 's/^1$/one/' f; head -1 f
perl -e 'print `echo sub`; system "exit 3"; print $? >> 8, "\n"; exec "echo", "exec"'
perl -MPOSIX -e 'print strftime("%F", gmtime 0), " ", (uname)[0], "\n"; print join(" ", sort keys %ENV), "\n"' | sed 's/ _//;s/ OLDPWD//;s/ PWD//'
perl -MFile::Find -e 'find sub { $n++ }, "/usr/share/perl5"; print $n > 0 ? "found\n" : "none\n"'
perl -Mthreads -e 'print threads->create(sub { $_[0] * 2 }, 21)->join, "\n"'
