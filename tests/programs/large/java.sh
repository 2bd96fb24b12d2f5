#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# OpenJDK: javac, threads, NIO, processes, HTTP both ends, watched directories, jar, jshell, a JVM asked by jcmd.
PATH=$PATH:/usr/lib/jvm/java-17-openjdk-amd64/bin:/usr/share/maven/bin
for need in javac java jar jcmd jstack; do
    command -v $need >/dev/null || { echo "$need is missing"; exit 77; }
done
mkdir src && cat >src/T.java <<'E'
import java.io.*;
import java.net.*;
import java.net.http.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.nio.file.attribute.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.stream.*;

public class T {
    static void threads() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(16);
        AtomicLong sum = new AtomicLong();
        List<Future<Long>> fs = new ArrayList<>();
        for (int i = 0; i < 200; i++) { final int k = i; fs.add(pool.submit(() -> { sum.addAndGet(k); Thread.sleep(1); return (long) k; })); }
        long s = 0; for (Future<Long> f : fs) s += f.get();
        pool.shutdown(); System.out.println("pool " + s + " " + sum.get() + " " + pool.awaitTermination(10, TimeUnit.SECONDS));
        System.out.println("parallel " + IntStream.range(0, 1000000).parallel().mapToLong(i -> i).sum());
        Object lock = new Object(); boolean[] ready = new boolean[1];
        Thread t = new Thread(() -> { synchronized (lock) { ready[0] = true; lock.notifyAll(); } });
        synchronized (lock) { t.start(); while (!ready[0]) lock.wait(5000); } t.join();
        Thread sleeper = new Thread(() -> { try { Thread.sleep(100000); } catch (InterruptedException e) { System.out.println("interrupted"); } });
        sleeper.start(); sleeper.interrupt(); sleeper.join();
    }
    static void nio() throws Exception {
        ServerSocketChannel server = ServerSocketChannel.open().bind(new InetSocketAddress("127.0.0.1", 0));
        int port = ((InetSocketAddress) server.getLocalAddress()).getPort();
        server.configureBlocking(false); Selector sel = Selector.open(); server.register(sel, SelectionKey.OP_ACCEPT);
        Thread echo = new Thread(() -> { try {
            int open = 8;
            while (open > 0) { sel.select(); for (Iterator<SelectionKey> it = sel.selectedKeys().iterator(); it.hasNext();) {
                SelectionKey k = it.next(); it.remove();
                if (k.isAcceptable()) { SocketChannel c = server.accept(); c.configureBlocking(false); c.register(sel, SelectionKey.OP_READ); }
                else { ByteBuffer b = ByteBuffer.allocateDirect(4096); SocketChannel c = (SocketChannel) k.channel(); int n = c.read(b);
                    if (n < 0) { c.close(); open--; } else { b.flip(); while (b.hasRemaining()) c.write(b); } } } }
            } catch (IOException e) { e.printStackTrace(); } });
        echo.start(); int good = 0;
        for (int i = 0; i < 8; i++) try (SocketChannel c = SocketChannel.open(new InetSocketAddress("127.0.0.1", port))) {
            byte[] m = ("message " + i).getBytes(); c.write(ByteBuffer.wrap(m)); ByteBuffer b = ByteBuffer.allocate(m.length); while (b.hasRemaining() && c.read(b) >= 0); if (Arrays.equals(m, b.array())) good++; }
        echo.join(); System.out.println("echo " + good);
        DatagramChannel d = DatagramChannel.open().bind(new InetSocketAddress("127.0.0.1", 0)); d.send(ByteBuffer.wrap(new byte[33]), d.getLocalAddress());
        ByteBuffer db = ByteBuffer.allocate(100); d.receive(db); System.out.println("datagram " + db.position());
        Path p = Files.createTempFile("x", ".bin");
        try (FileChannel f = FileChannel.open(p, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            MappedByteBuffer m = f.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20); m.putInt(1000, 77); m.force(); ByteBuffer b = ByteBuffer.allocate(4); f.read(b, 1000); System.out.println("mapped " + b.getInt(0) + " " + f.size());
            try (FileLock l = f.lock(0, 10, false)) { System.out.println("lock " + l.isValid()); try { f.tryLock(5, 2, false); } catch (OverlappingFileLockException e) { System.out.println("overlap"); } }
            try (FileChannel g = FileChannel.open(Paths.get("copy"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) { System.out.println("transfer " + f.transferTo(0, f.size(), g)); }
        }
        Files.setPosixFilePermissions(p, PosixFilePermissions.fromString("rw-r-----")); System.out.println(PosixFilePermissions.toString(Files.getPosixFilePermissions(p)));
        Files.setAttribute(p, "user:k", "v".getBytes()); System.out.println("xattr " + new String((byte[]) Files.getAttribute(p, "user:k")));
        Files.move(p, Paths.get("moved"), StandardCopyOption.REPLACE_EXISTING); Files.createSymbolicLink(Paths.get("link"), Paths.get("moved")); System.out.println(Files.readSymbolicLink(Paths.get("link")) + " " + Files.isSameFile(Paths.get("link"), Paths.get("moved")));
        Files.createDirectory(Paths.get("w")); WatchService ws = FileSystems.getDefault().newWatchService(); Paths.get("w").register(ws, StandardWatchEventKinds.ENTRY_CREATE);
        Files.createFile(Paths.get("w/n")); System.out.println("watched " + ws.poll(20, TimeUnit.SECONDS).pollEvents().get(0).context());
        UnixDomainSocketAddress ua = UnixDomainSocketAddress.of("sock"); ServerSocketChannel us = ServerSocketChannel.open(StandardProtocolFamily.UNIX).bind(ua); SocketChannel uc = SocketChannel.open(ua); uc.write(ByteBuffer.wrap(new byte[5])); ByteBuffer ub = ByteBuffer.allocate(9); us.accept().read(ub); System.out.println("unix " + ub.position());
        AsynchronousFileChannel af = AsynchronousFileChannel.open(Paths.get("moved")); System.out.println("async " + af.read(ByteBuffer.allocate(10), 0).get());
    }
    static void processes() throws Exception {
        Process p = new ProcessBuilder("sh", "-c", "cat; exit 3").redirectErrorStream(true).start(); p.getOutputStream().write("in\n".getBytes()); p.getOutputStream().close();
        System.out.println(new String(p.getInputStream().readAllBytes()).trim() + " " + p.waitFor());
        Process q = new ProcessBuilder("sleep", "100").start(); q.destroy(); System.out.println("destroyed " + q.waitFor());
        System.out.println("timeout " + new ProcessBuilder("sleep", "5").start().waitFor(50, TimeUnit.MILLISECONDS));
        System.out.println("alive " + ProcessHandle.current().isAlive() + " " + ProcessHandle.of(1).isPresent() + " " + ProcessHandle.current().info().command().get());
    }
    static void http() throws Exception {
        var s = com.sun.net.httpserver.HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0); s.setExecutor(Executors.newCachedThreadPool());
        s.createContext("/", x -> { byte[] b = (x.getRequestMethod() + x.getRequestURI()).getBytes(); x.sendResponseHeaders(200, b.length); x.getResponseBody().write(b); x.close(); }); s.start();
        HttpClient c = HttpClient.newHttpClient(); var all = new ArrayList<CompletableFuture<String>>();
        for (int i = 0; i < 50; i++) all.add(c.sendAsync(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + s.getAddress().getPort() + "/" + i)).build(), HttpResponse.BodyHandlers.ofString()).thenApply(HttpResponse::body));
        int n = 0; for (var f : all) n += f.get().length(); System.out.println("http " + n); s.stop(0);
    }
    public static void main(String[] a) throws Exception {
        if (a.length > 0) { System.out.println("up"); System.out.flush(); Thread.sleep(60000); return; }
        threads(); nio(); processes(); http();
        System.out.println("cpus " + (Runtime.getRuntime().availableProcessors() > 0) + " memory " + (Runtime.getRuntime().maxMemory() > 1 << 20));
        var os = (com.sun.management.OperatingSystemMXBean) java.lang.management.ManagementFactory.getOperatingSystemMXBean();
        System.out.println("os " + os.getName() + " " + os.getArch() + " " + (os.getTotalMemorySize() > 0) + " " + (os.getProcessCpuTime() > 0) + " " + (os.getCommittedVirtualMemorySize() > 0));
        try { int[][] big = new int[100000][]; for (int i = 0; i < big.length; i++) big[i] = new int[1 << 20]; } catch (OutOfMemoryError e) { System.out.println("out of memory"); }
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook"))); System.exit(9);
    }
}
E
javac -d classes src/T.java && jar --create --file t.jar --main-class T -C classes . && jar tf t.jar | grep -c class
for gc in Serial Parallel G1 Z Shenandoah; do java -Xmx128m -XX:+Use${gc}GC -version 2>/dev/null; echo "$gc $?"; done
java -Xmx256m -jar t.jar; echo "status $?"
mkfifo up; java -Xmx64m -cp classes T wait >up & J=$!
read -r word <up; echo "$word"
jcmd $J VM.command_line | grep -c "java_command: T wait"; jstack $J | grep -c '^"main"'; jcmd $J GC.heap_info | grep -cE "garbage|generation" >/dev/null; echo "asked $?"
jcmd -l | grep -c " T wait"; kill -QUIT $J; kill $J; wait $J; echo "status $?"
echo 'System.out.println(6 * 7)' | jshell -s - 2>/dev/null
java -Xshare:dump -XX:SharedArchiveFile=./cds.jsa >/dev/null 2>&1; java -Xshare:on -XX:SharedArchiveFile=./cds.jsa -version 2>/dev/null; echo "cds $?"
