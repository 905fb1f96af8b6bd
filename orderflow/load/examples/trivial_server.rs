//! A server that does next to nothing, to measure what the generator itself can do: it answers every request without a
//! body with the same 200. `cargo run --release -p orderflow-load --example trivial_server -- 127.0.0.1:9090`

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{\"id\":1,\"name\":\"a product\"}";

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9090".into());
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("http://{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(Serve { stream, input: [0; 4096], filled: 0 });
        }
    })
}

/// One connection; ends when the client does.
struct Serve {
    stream: TcpStream,
    input: [u8; 4096],
    filled: usize,
}

impl Future for Serve {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            let mut into = ReadBuf::new(&mut this.input[this.filled..]);
            match Pin::new(&mut this.stream).poll_read(context, &mut into) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !into.filled().is_empty() => this.filled += into.filled().len(),
                Poll::Ready(_) => return Poll::Ready(()),
            }
            // A client that waits for its answer ends every read with the end of a head. One answer is far smaller than
            // a socket's buffer, so that a write that is not whole means a client that has stopped reading.
            if this.input[..this.filled].ends_with(b"\r\n\r\n") {
                this.filled = 0;
                if !matches!(Pin::new(&mut this.stream).poll_write(context, ANSWER), Poll::Ready(Ok(n)) if n == ANSWER.len())
                {
                    return Poll::Ready(());
                }
            }
        }
    }
}
