#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ruby: threads, sockets, forks, pipes, locks, signals, fibers, ractors.
command -v ruby >/dev/null || { echo "ruby is missing"; exit 77; }
ruby - <<'E'
require 'socket'; require 'json'; require 'tempfile'; require 'open3'; require 'digest'
p RUBY_ENGINE, (1..10).sum, JSON.generate({a: [1,2]})
t = 4.times.map { |i| Thread.new { (1..1000).inject(:+) * i } }; p t.map(&:value)
s = TCPServer.new('127.0.0.1', 0); c = TCPSocket.new('127.0.0.1', s.addr[1]); a = s.accept; c.puts 'hi'; p a.gets
r, w = IO.pipe; pid = fork { r.close; w.puts "child"; exit!(3) }; w.close; p r.read; Process.wait(pid); p $?.exitstatus
o, st = Open3.capture2('tr a-z A-Z', stdin_data: 'abc'); p o, st.success?
Tempfile.create('x') { |f| f.write('z'*1000); f.flush; p File.size(f.path); f.flock(File::LOCK_EX); p File.stat(f.path).mode.to_s(8) }
trap('USR1') { puts 'usr1' }; Process.kill('USR1', $$); sleep 0.1
p Process.clock_gettime(Process::CLOCK_MONOTONIC) > 0, Dir.children('/usr').include?('bin'), Digest::SHA256.hexdigest('a')[0,8]
f = Fiber.new { Fiber.yield 1; 2 }; p f.resume, f.resume
p Ractor.new { 41 + 1 }.take rescue p $!
p Process.getrlimit(:NOFILE).size, Etc.getpwuid(0).name rescue p $!.class
p `echo sub`.chomp, IO.popen(['sort','-r'],'r+'){|i| i.puts 1,3,2; i.close_write; i.read}
E
