// SPDX-License-Identifier: Apache-2.0
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn tcp() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = l.local_addr().unwrap();
    tokio::spawn(many::serve(l));
    let all = (0..50).map(|i| tokio::spawn(async move {
        let mut s = tokio::net::TcpStream::connect(at).await.unwrap();
        s.write_all(format!("abc{i}\n").as_bytes()).await.unwrap();
        s.shutdown().await.unwrap();
        let mut got = String::new();
        s.read_to_string(&mut got).await.unwrap();
        got
    }));
    for (i, t) in all.enumerate() {
        let want: String = format!("abc{i}").chars().rev().collect();
        assert_eq!(t.await.unwrap(), want + "\n");
    }
}

#[tokio::test]
async fn process() {
    let out = tokio::process::Command::new("sh").args(["-c", "echo out; exit 4"]).output().await.unwrap();
    assert_eq!((out.stdout.as_slice(), out.status.code()), (&b"out\n"[..], Some(4)));
    let mut c = tokio::process::Command::new("sleep").arg("100").spawn().unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), c.wait()).await.is_err());
    c.kill().await.unwrap();
}

#[tokio::test]
async fn signal() {
    use tokio::signal::unix::{signal, SignalKind};
    let mut s = signal(SignalKind::user_defined1()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGUSR1).unwrap();
    s.recv().await.unwrap();
}

#[test]
fn files() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..100 {
        std::fs::write(dir.path().join(format!("f{i}")), vec![b'x'; i]).unwrap();
    }
    let size: u64 = walkdir::WalkDir::new(dir.path()).into_iter().map(|e| e.unwrap().metadata().unwrap()).filter(|m| m.is_file()).map(|m| m.len()).sum();
    assert_eq!(size, 4950);
    let mut f = tempfile::tempfile().unwrap();
    let mut z = flate2::write::GzEncoder::new(&mut f, flate2::Compression::fast());
    z.write_all(&[7; 100000]).unwrap();
    z.finish().unwrap();
    f.seek(SeekFrom::Start(0)).unwrap();
    let mut back = Vec::new();
    flate2::read::GzDecoder::new(f).read_to_end(&mut back).unwrap();
    assert_eq!(back, vec![7; 100000]);
    std::fs::copy(dir.path().join("f99"), dir.path().join("copy")).unwrap();
    std::fs::hard_link(dir.path().join("copy"), dir.path().join("hard")).unwrap();
    std::fs::remove_dir_all(dir.path()).unwrap();
}

#[test]
fn threads() {
    let m = std::sync::Arc::new(parking_lot::Mutex::new(0));
    crossbeam::scope(|s| {
        for _ in 0..8 {
            s.spawn(|_| (0..1000).for_each(|_| *m.lock() += 1));
        }
    }).unwrap();
    assert_eq!(*m.lock(), 8000);
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::spawn(move || tx.send(1).unwrap());
    assert_eq!(rx.recv_timeout(Duration::from_secs(10)), Ok(1));
    assert!(std::panic::catch_unwind(|| panic!("caught")).is_err());
}

#[test]
fn sockets() {
    use socket2::{Domain, Socket, Type};
    let (a, b) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    a.send(b"packet").unwrap();
    let mut buf = [0u8; 20];
    assert_eq!((&b).read(&mut buf).unwrap(), 6);
    let s = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
    s.set_reuse_address(true).unwrap();
    s.set_only_v6(false).unwrap();
    s.bind(&"[::]:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    s.listen(5).unwrap();
    let port = s.local_addr().unwrap().as_socket().unwrap().port();
    std::net::TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), Duration::from_secs(5)).unwrap();
    let u = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    u.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
    assert_eq!(u.recv(&mut buf).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
