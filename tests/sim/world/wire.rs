//! What the scripted ends say and how they read: patterns, heads, bodies.
//!
//! The reading here is the simulator's own and shares nothing with the engine's, so that a mistake
//! of one cannot hide behind the same mistake of the other.

/// Byte `at` of the body that request `id` carries (`up`) or is answered with.
pub(crate) fn pattern(id: u64, up: bool, at: u64) -> u8 {
    let mixed = id
        .wrapping_mul(0x9E37_79B9)
        .wrapping_add(at.wrapping_mul(31))
        .wrapping_add(at >> 8)
        .wrapping_add(if up { 77 } else { 0 });
    (mixed ^ (mixed >> 13)) as u8
}

pub(crate) fn body(id: u64, up: bool, len: u64) -> Vec<u8> {
    (0..len).map(|at| pattern(id, up, at)).collect()
}

/// Cuts a body into chunks of the given sizes in turn, with extensions and trailers now and then.
pub(crate) fn chunked(bytes: &[u8], size: usize, decorated: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in bytes.chunks(size.max(1)) {
        let extension = if decorated { ";a=b" } else { "" };
        out.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    let end: &[u8] = if decorated {
        b"0\r\nx-trail: 1\r\n\r\n"
    } else {
        b"0\r\n\r\n"
    };
    out.extend_from_slice(end);
    out
}

/// A head, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, String)>,
    /// Its length with the empty line.
    pub(crate) len: usize,
}

impl Head {
    /// The head at the start of `bytes`, if it is whole.
    pub(crate) fn take(bytes: &[u8]) -> Option<Result<Self, String>> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let Ok(text) = std::str::from_utf8(&bytes[..end]) else {
            return Some(Err(format!("head is no text: {:?}", &bytes[..end.min(80)])));
        };
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let mut fields = Vec::new();
        for field in lines {
            let Some((name, value)) = field.split_once(':') else {
                return Some(Err(format!("no field: {field:?}")));
            };
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let len = end + 4;
        Some(Ok(Self { line, fields, len }))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The number after `/r/` in the target, or in `x-id`.
    pub(crate) fn id(&self) -> Option<u64> {
        let target = self.line.split(' ').nth(1)?;
        let (_, number) = target.split_once("/r/")?;
        number.split(['/', '?']).next()?.parse().ok()
    }

    pub(crate) fn closes(&self) -> bool {
        let says = |what: &str| {
            let value = self
                .get("connection")
                .unwrap_or_default()
                .to_ascii_lowercase();
            value.split(',').any(|token| token.trim() == what)
        };
        says("close") || (self.line.starts_with("HTTP/1.0") && !says("keep-alive"))
    }

    pub(crate) fn framing(&self, otherwise: Stage) -> Result<Stage, String> {
        if let Some(coding) = self.get("transfer-encoding") {
            if self.get("content-length").is_some() || coding != "chunked" {
                return Err(format!("two lengths: {:?}", self.fields));
            }
            return Ok(Stage::Size(Vec::new()));
        }
        match self.get("content-length") {
            Some(length) => {
                let length = length.parse().map_err(|_| format!("length {length:?}"))?;
                Ok(Stage::Data(length))
            }
            None => Ok(otherwise),
        }
    }
}

/// Where the reading of a body stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    Data(u64),
    Size(Vec<u8>),
    Chunk(u64),
    ChunkEnd(u8),
    Trailer(Vec<u8>),
    UntilClose,
    Over,
}

/// Reads a body and holds every byte of it against its pattern.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) stage: Stage,
    pub(crate) id: u64,
    pub(crate) up: bool,
    pub(crate) seen: u64,
    /// Whose bytes are not checked: an answer of the engine's own.
    pub(crate) unchecked: bool,
}

impl Reader {
    pub(crate) fn new(stage: Stage, id: u64, up: bool) -> Self {
        let stage = if stage == Stage::Data(0) {
            Stage::Over
        } else {
            stage
        };
        Self {
            stage,
            id,
            up,
            seen: 0,
            unchecked: false,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    fn check(&mut self, byte: u8) -> Result<(), String> {
        let right = pattern(self.id, self.up, self.seen);
        if byte != right && !self.unchecked {
            let (id, seen) = (self.id, self.seen);
            return Err(format!(
                "body of {id} differs at {seen}: {byte} for {right}"
            ));
        }
        self.seen += 1;
        Ok(())
    }

    /// Takes bytes until the body is over; says how many it took.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<usize, String> {
        for (at, &byte) in bytes.iter().enumerate() {
            match &mut self.stage {
                Stage::Over => return Ok(at),
                Stage::UntilClose => self.check(byte)?,
                Stage::Data(left) => {
                    *left -= 1;
                    if *left == 0 {
                        self.stage = Stage::Over;
                    }
                    self.check(byte)?;
                }
                Stage::Size(line) => {
                    line.push(byte);
                    if byte == b'\n' {
                        let text = String::from_utf8_lossy(line);
                        let size = text.trim_end().split(';').next().unwrap_or_default();
                        let size = u64::from_str_radix(size, 16)
                            .map_err(|_| format!("chunk size {text:?} of {}", self.id))?;
                        self.stage = match size {
                            0 => Stage::Trailer(Vec::new()),
                            size => Stage::Chunk(size),
                        };
                    }
                }
                Stage::Chunk(left) => {
                    *left -= 1;
                    if *left == 0 {
                        self.stage = Stage::ChunkEnd(2);
                    }
                    self.check(byte)?;
                }
                Stage::ChunkEnd(left) => {
                    *left -= 1;
                    if byte != [b'\n', b'\r'][usize::from(*left)] {
                        return Err(format!("chunk of {} ends in {byte}", self.id));
                    }
                    if *left == 0 {
                        self.stage = Stage::Size(Vec::new());
                    }
                }
                Stage::Trailer(line) => {
                    line.push(byte);
                    if byte == b'\n' {
                        let empty = line.len() <= 2;
                        self.stage = if empty {
                            Stage::Over
                        } else {
                            Stage::Trailer(Vec::new())
                        };
                    }
                }
            }
        }
        Ok(bytes.len())
    }
}
