//! A plain HTTP/1.1 client on one kept connection. It blocks, so that nothing stands between the clock and the socket: an
//! asynchronous runtime's timers are exact to a millisecond only, which is more than what is measured here.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::interrupt;

/// How often a read that waits looks whether it should go on.
const LOOK: Duration = Duration::from_millis(500);
/// The longest time for one answer.
pub const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Bytes of a line of the head, or of all of them.
const HEAD_BYTES_MAX: u64 = 64 << 10;
/// Bytes of an answer's body.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Bytes that one read takes from the socket.
const READ_BYTES: usize = 64 << 10;

/// A connection that carries one request after the other.
pub struct Connection {
    reader: BufReader<Patient>,
    head: Vec<u8>,
    /// The body of the last answer, without the framing of its transfer.
    pub body: Vec<u8>,
}

/// An answer that came whole. Its body is in [`Connection::body`].
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// When the body's first bytes came.
    pub first_at: Instant,
    /// When its last bytes came.
    pub last_at: Instant,
    /// Whether the connection carries no further request.
    pub closes: bool,
}

/// A socket whose reads wait, but not forever and not after Ctrl-C.
struct Patient {
    stream: TcpStream,
    deadline: Instant,
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if interrupt::is_set() || Instant::now() > self.deadline {
                        return Err(io::Error::new(ErrorKind::TimedOut, "no answer in time"));
                    }
                }
                outcome => return outcome,
            }
        }
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens at `address`.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        let reader = BufReader::with_capacity(READ_BYTES, Patient { stream, deadline: Instant::now() });
        Ok(Self { reader, head: Vec::new(), body: Vec::new() })
    }

    /// Sends a whole request, head and body, and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks, the answer is no HTTP, is too large or takes longer than [`ANSWER_MAX`]. The connection is of
    /// no use then.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        let Patient { stream, deadline } = self.reader.get_mut();
        *deadline = Instant::now() + ANSWER_MAX;
        stream.write_all(request)?;
        self.body.clear();
        read_answer(&mut self.reader, &mut self.head, &mut self.body)
    }
}

/// How long a body is.
#[derive(Clone, Copy)]
enum Length {
    Known(usize),
    Chunked,
    UntilClosed,
}

fn read_answer(reader: &mut impl BufRead, line: &mut Vec<u8>, body: &mut Vec<u8>) -> io::Result<Answer> {
    read_line(reader, line)?;
    let status = line.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(number);
    let status = status.ok_or_else(|| invalid("the answer does not begin with an HTTP status"))?;
    let mut length = Length::UntilClosed;
    let mut closes = false;
    loop {
        read_line(reader, line)?;
        if line.is_empty() {
            break;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Err(invalid("a header has no colon"));
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            length = Length::Known(number(value).ok_or_else(|| invalid("the length is no number"))?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") && value.eq_ignore_ascii_case(b"chunked") {
            length = Length::Chunked;
        } else if name.eq_ignore_ascii_case(b"connection") {
            closes = value.eq_ignore_ascii_case(b"close");
        }
    }
    let first_at = match length {
        Length::Known(length) => read_known(reader, length, body)?,
        Length::Chunked => read_chunked(reader, line, body)?,
        Length::UntilClosed => {
            closes = true;
            reader.fill_buf()?;
            let first_at = Instant::now();
            reader.by_ref().take(BODY_BYTES_MAX as u64).read_to_end(body)?;
            first_at
        }
    };
    Ok(Answer { status: u16::try_from(status).unwrap_or_default(), first_at, last_at: Instant::now(), closes })
}

fn read_known(reader: &mut impl BufRead, length: usize, body: &mut Vec<u8>) -> io::Result<Instant> {
    reader.fill_buf()?;
    let first_at = Instant::now();
    append(reader, length, body)?;
    Ok(first_at)
}

/// Chunks of RFC 9112, section 7.1. What an extension or a trailer says is not looked at.
fn read_chunked(reader: &mut impl BufRead, line: &mut Vec<u8>, body: &mut Vec<u8>) -> io::Result<Instant> {
    let mut first_at = None;
    loop {
        read_line(reader, line)?;
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let length = std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let length = length.ok_or_else(|| invalid("the length of a chunk is no number"))?;
        if length == 0 {
            while !line.is_empty() {
                read_line(reader, line)?;
            }
            return Ok(first_at.unwrap_or_else(Instant::now));
        }
        append(reader, length, body)?;
        first_at.get_or_insert_with(Instant::now);
        read_line(reader, line)?;
        if !line.is_empty() {
            return Err(invalid("a chunk is longer than it says"));
        }
    }
}

fn append(reader: &mut impl BufRead, length: usize, body: &mut Vec<u8>) -> io::Result<()> {
    if length > BODY_BYTES_MAX.saturating_sub(body.len()) {
        return Err(invalid("the answer is too large"));
    }
    if reader.by_ref().take(length as u64).read_to_end(body)? < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Reads a line and leaves out its end.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    line.clear();
    reader.by_ref().take(HEAD_BYTES_MAX).read_until(b'\n', line)?;
    if line.pop() != Some(b'\n') {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(())
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str) -> io::Result<(Answer, String, usize)> {
        let mut reader = answer.as_bytes();
        let mut body = Vec::new();
        let answer = read_answer(&mut reader, &mut Vec::new(), &mut body)?;
        Ok((answer, String::from_utf8(body).unwrap(), reader.len()))
    }

    #[test]
    fn bodies_end_where_their_framing_says() {
        let (answer, body, left) =
            read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nconnection: keep-alive\r\n\r\nhelloHTTP/1.1").unwrap();
        assert_eq!((answer.status, answer.closes, body.as_str(), left), (200, false, "hello", 8));
        let chunked = "HTTP/1.1 429 Too Many\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
                       3\r\nab\n\r\nA;x=1\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\nrest";
        let (answer, body, left) = read(chunked).unwrap();
        assert_eq!((answer.status, answer.closes, body.as_str(), left), (429, true, "ab\n0123456789", 4));
        let (answer, body, _) = read("HTTP/1.1 200 OK\r\n\r\nto the end").unwrap();
        assert_eq!((answer.closes, body.as_str()), (true, "to the end"));
    }

    #[test]
    fn cut_and_broken_answers_are_errors() {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\ncontent-le",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
            "SSH-2.0-OpenSSH\r\n",
        ] {
            assert!(read(answer).is_err(), "{answer:?} was taken");
        }
    }
}
