// SPDX-License-Identifier: Apache-2.0
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, PartialEq, Clone)]
pub struct Note {
    pub text: String,
    pub n: u32,
}

/// A server on the loopback that answers each line with the line turned round.
pub async fn serve(l: tokio::net::TcpListener) -> anyhow::Result<()> {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    loop {
        let (s, _) = l.accept().await?;
        tokio::spawn(async move {
            let (r, mut w) = s.into_split();
            let mut lines = BufReader::new(r).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let back: String = line.chars().rev().collect();
                if w.write_all(format!("{back}\n").as_bytes()).await.is_err() {
                    break;
                }
            }
        });
    }
}
