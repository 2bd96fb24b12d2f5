#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bundler: gems, one of them with C, built here and installed from an index on the loopback.
for need in ruby gem bundle gcc make; do
    command -v $need >/dev/null || { echo "$need is missing"; exit 77; }
done
ruby -e 'require "webrick"' 2>/dev/null || { echo "ruby-webrick is missing"; exit 77; }
[ -e "$(ruby -rrbconfig -e 'print RbConfig::CONFIG["rubyhdrdir"]')/ruby.h" ] || { echo "ruby-dev is missing"; exit 77; }
mkdir -p pure/lib native/ext repo/gems app
echo 'module Pure; def self.word; "pure"; end; end' >pure/lib/pure.rb
cat >native/ext/native.c <<'E'
#include <ruby.h>
static VALUE twice(VALUE self, VALUE n) { return INT2NUM(2 * NUM2INT(n)); }
void Init_native(void) { rb_define_module_function(rb_define_module("Native"), "twice", twice, 1); }
E
echo 'require "mkmf"; create_makefile("native")' >native/ext/extconf.rb
spec() { echo "Gem::Specification.new { |s| s.name='$1'; s.version='1.0'; s.summary='x'; s.author='x'; s.files=Dir['**/*.{rb,c}']; $2 }" >$1/$1.gemspec; (cd $1 && gem build -q $1.gemspec 2>/dev/null >/dev/null && mv $1-1.0.gem ../repo/gems); }
spec pure ""; spec native "s.extensions=['ext/extconf.rb']; s.add_dependency 'pure'"
(cd repo && gem generate_index >/dev/null 2>&1); ls repo/gems
ruby -rwebrick -e 'WEBrick::HTTPServer.new(Port: 18110, BindAddress: "127.0.0.1", DocumentRoot: "repo", AccessLog: [], Logger: WEBrick::Log.new("web")).start' & W=$!
trap 'kill $W' EXIT
for _ in $(seq 100); do (: </dev/tcp/127.0.0.1/18110) 2>/dev/null && break; sleep 0.1; done
cd app || exit 1
printf 'source "http://127.0.0.1:18110"\ngem "native"\n' >Gemfile
bundle config set --local path vendor >/dev/null; bundle config set --local jobs 2
bundle install --quiet 2>err || { echo "status $?"; tail -5 err; }
bundle exec ruby -e 'require "native"; require "pure"; p Native.twice(21), Pure.word'
grep -E "^    [a-z]" Gemfile.lock; bundle list 2>/dev/null | grep -c "1.0"; bundle exec rake --version >/dev/null 2>&1; echo "rake $?"
