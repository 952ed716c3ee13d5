use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};

use pdf_extract::{Dictionary, Document, EncryptionState, Object, ObjectId, Stream, encryption::decrypt_object};

use super::{
    super::{Format, Limits, ParseError},
    filters::{FilterError, filter_names, unpack},
    scan::{Scan, scan, stream_data},
    syntax::Lexer,
};

/// References to references; real files have one step.
const REFERENCE_STEPS_MAX: usize = 16;
/// Objects kept after they were read. They are read again when more are needed.
const CACHE_MAX: usize = 20_000;
/// Bytes that may be read, as a multiple of the file's size, on top of the allowance for unpacked data: shared objects are
/// read a few times, hostile ones thousands of times.
const READS_MAX: usize = 16;
/// Objects packed into streams, for the whole file.
const PACKED_MAX: usize = 1_000_000;

/// Where an object's definition is.
#[derive(Clone, Copy)]
enum Place {
    /// Right after its `obj` word.
    Direct { offset: usize, generation: u16 },
    /// In an unpacked object stream.
    Packed { container: usize, offset: usize },
}

/// A PDF file in memory whose objects are read when they are needed.
///
/// Objects are found by looking through the file, not by its cross-reference table: that also reads files whose table is
/// wrong, which is the commonest damage, and leaves nothing in the table to attack. Later definitions replace earlier ones,
/// as incremental updates intend.
pub(super) struct File<'a> {
    bytes: &'a [u8],
    places: HashMap<u32, Place>,
    containers: Vec<Vec<u8>>,
    trailer: Dictionary,
    /// The newest catalog and all pages that were seen, for files whose trailer or page tree is damaged.
    catalog: Option<u32>,
    loose_pages: Vec<u32>,
    /// Where the last `endstream` is.
    streams_end: usize,
    encryption: Option<EncryptionState>,
    cache: RefCell<HashMap<u32, Rc<Object>>>,
    reads_left: Cell<usize>,
    expanded_left: Cell<usize>,
    expanded_max: usize,
}

/// A stream as it is stored, after decryption.
pub(super) struct RawStream {
    pub(super) dictionary: Dictionary,
    pub(super) data: Vec<u8>,
}

/// A page of the document.
pub(super) struct Page {
    /// Its dictionary.
    pub(super) node: Rc<Object>,
    /// Its fonts and forms, its own or inherited.
    pub(super) resources: Option<Rc<Object>>,
}

impl<'a> File<'a> {
    pub(super) fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        let Scan { direct, containers, trailer, catalog, pages, streams_end } = scan(bytes)?;
        let mut file = Self {
            bytes,
            places: HashMap::with_capacity(direct.len()),
            containers: Vec::new(),
            trailer,
            catalog,
            loose_pages: pages,
            streams_end,
            encryption: None,
            cache: RefCell::default(),
            reads_left: Cell::new(bytes.len().saturating_mul(READS_MAX).saturating_add(limits.pdf_expanded_bytes_max)),
            expanded_left: Cell::new(limits.pdf_expanded_bytes_max),
            expanded_max: limits.pdf_expanded_bytes_max,
        };
        for (id, offset, generation) in &direct {
            file.places.insert(*id, Place::Direct { offset: *offset, generation: *generation });
        }
        file.encryption = file.unlock()?;
        for container in containers {
            file.open_container(container)?;
        }
        // Cross-reference streams are trailers too, and a packed catalog becomes visible only now.
        if file.trailer.get(b"Root").is_err()
            && let Some(catalog) = file.catalog
        {
            file.trailer.set("Root", Object::Reference((catalog, 0)));
        }
        Ok(file)
    }

    /// The key of an encrypted file that opens without a password; `None` for a file that is not encrypted.
    fn unlock(&self) -> Result<Option<EncryptionState>, ParseError> {
        let Ok(encrypt) = self.trailer.get(b"Encrypt") else { return Ok(None) };
        let resolved = self.resolve(encrypt);
        let Object::Dictionary(dictionary) = resolved.as_ref() else { return Ok(None) };
        let dictionary: Dictionary =
            dictionary.iter().map(|(key, value)| (key.clone(), self.resolve(value).as_ref().clone())).collect();
        let id: ObjectId = encrypt.as_reference().unwrap_or((u32::MAX, 0));
        let mut document = Document::new();
        document.objects.insert(id, Object::Dictionary(dictionary));
        document.trailer.set("Encrypt", Object::Reference(id));
        if let Ok(file_id) = self.trailer.get(b"ID") {
            document.trailer.set("ID", self.resolve(file_id).as_ref().clone());
        }
        // The library checks the password; it is not written for hostile files, so its panics count as a refusal.
        let opened = catch_unwind(AssertUnwindSafe(|| document.decrypt("").is_ok())).unwrap_or(false);
        match document.encryption_state.take() {
            Some(state) if opened => Ok(Some(state)),
            _ => Err(ParseError::Encrypted),
        }
    }

    /// Finds the objects that are packed into an object stream.
    fn open_container(&mut self, (id, position): (u32, usize)) -> Result<(), ParseError> {
        // Another definition replaced this container.
        let is_current = matches!(self.places.get(&id), Some(Place::Direct { offset, .. }) if *offset == position);
        let Some(stream) = self.stream_at(id, position).filter(|_| is_current) else { return Ok(()) };
        let data = match self.unpack(&stream) {
            Ok(data) => data,
            Err(FilterError::TooMuch) => return Err(self.too_much()),
            Err(_) => return Err(damaged("an object stream cannot be unpacked")),
        };
        let number = |key: &[u8]| {
            stream
                .dictionary
                .get(key)
                .ok()
                .and_then(|value| self.resolve(value).as_i64().ok())
                .and_then(|value| usize::try_from(value).ok())
        };
        let (Some(count), Some(first)) = (number(b"N"), number(b"First")) else { return Ok(()) };
        let mut header = Lexer::new(data.get(..first).unwrap_or_default(), 0);
        let mut found = Vec::new();
        for _ in 0..count.min(PACKED_MAX) {
            let (Ok(Object::Integer(id)), Ok(Object::Integer(offset))) = (header.value(), header.value()) else {
                break;
            };
            if let (Ok(id), Ok(offset)) = (u32::try_from(id), usize::try_from(offset)) {
                found.push((id, first.saturating_add(offset)));
            }
        }
        let container = self.containers.len();
        self.containers.push(data);
        for (id, offset) in found {
            let newer = match self.places.get(&id) {
                Some(Place::Direct { offset, .. }) => *offset < position,
                Some(Place::Packed { .. }) => true,
                None if self.places.len() >= PACKED_MAX * 2 => return Err(damaged("it defines too many objects")),
                None => true,
            };
            if newer {
                self.places.insert(id, Place::Packed { container, offset });
                self.note_kind(id);
            }
        }
        Ok(())
    }

    /// Remembers catalogs and pages in case that the trailer or the page tree is missing.
    fn note_kind(&mut self, id: u32) {
        if self.trailer.get(b"Root").is_ok() {
            return;
        }
        let object = self.object(id);
        match object.as_dict().ok().and_then(|dictionary| dictionary.get_type().ok()) {
            Some(b"Catalog") => self.catalog = Some(id),
            Some(b"Page") => self.loose_pages.push(id),
            _ => {}
        }
    }

    fn lexer(&self, place: Place) -> Lexer<'_> {
        match place {
            Place::Direct { offset, .. } => Lexer::new(self.bytes, offset),
            Place::Packed { container, offset } => {
                Lexer::new(self.containers.get(container).map_or(&[], Vec::as_slice), offset)
            }
        }
    }

    /// An object by number; null if it is missing or cannot be read. Of a stream, its dictionary.
    fn object(&self, id: u32) -> Rc<Object> {
        if let Some(known) = self.cache.borrow().get(&id) {
            return Rc::clone(known);
        }
        let object = Rc::new(self.read_object(id).unwrap_or(Object::Null));
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= CACHE_MAX {
            cache.clear();
        }
        cache.insert(id, Rc::clone(&object));
        object
    }

    fn read_object(&self, id: u32) -> Option<Object> {
        let place = *self.places.get(&id)?;
        let mut lexer = self.lexer(place);
        let start = lexer.position;
        let object = lexer.value();
        self.spend(lexer.position.saturating_sub(start))?;
        let mut object = object.ok()?;
        if let (Some(state), Place::Direct { generation, .. }) = (&self.encryption, place) {
            catch_unwind(AssertUnwindSafe(|| decrypt_object(state, (id, generation), &mut object))).ok()?.ok()?;
        }
        Some(object)
    }

    /// Takes bytes that were read off the allowance; none when it is used up.
    fn spend(&self, bytes: usize) -> Option<()> {
        let left = self.reads_left.get().checked_sub(bytes + 1);
        self.reads_left.set(left.unwrap_or(0));
        left.map(|_| ())
    }

    /// Takes a fixed price for a piece of work off the allowance for unpacked data.
    pub(super) fn charge(&self, bytes: usize) -> Result<(), ParseError> {
        let left = self.expanded_left.get().checked_sub(bytes).ok_or_else(|| self.too_much())?;
        self.expanded_left.set(left);
        Ok(())
    }

    /// An error if an allowance ran out, so that a text is complete or refused.
    pub(super) fn check_allowance(&self) -> Result<(), ParseError> {
        if self.reads_left.get() == 0 { Err(self.too_much()) } else { Ok(()) }
    }

    /// Follows a reference to its value.
    pub(super) fn resolve(&self, value: &Object) -> Rc<Object> {
        let Object::Reference((id, _)) = value else { return Rc::new(value.clone()) };
        let mut object = self.object(*id);
        for _ in 0..REFERENCE_STEPS_MAX {
            let Object::Reference((id, _)) = object.as_ref() else { return object };
            object = self.object(*id);
        }
        Rc::new(Object::Null)
    }

    /// A value of a dictionary, its reference followed; null if it is missing.
    pub(super) fn get(&self, dictionary: &Dictionary, key: &[u8]) -> Rc<Object> {
        dictionary.get(key).map_or_else(|_| Rc::new(Object::Null), |value| self.resolve(value))
    }

    /// A dictionary within a dictionary.
    pub(super) fn dictionary(&self, dictionary: &Dictionary, key: &[u8]) -> Option<Dictionary> {
        self.get(dictionary, key).as_dict().ok().cloned()
    }

    /// The stream that a value refers to.
    pub(super) fn stream(&self, value: &Object) -> Option<RawStream> {
        let (mut id, _) = value.as_reference().ok()?;
        for _ in 0..REFERENCE_STEPS_MAX {
            let Place::Direct { offset, .. } = *self.places.get(&id)? else { return None };
            if let Some(stream) = self.stream_at(id, offset) {
                return Some(stream);
            }
            id = self.read_object(id)?.as_reference().ok()?.0;
        }
        None
    }

    fn stream_at(&self, id: u32, offset: usize) -> Option<RawStream> {
        let mut lexer = Lexer::new(self.bytes, offset);
        let value = lexer.value();
        self.spend(lexer.position.saturating_sub(offset))?;
        let Object::Dictionary(dictionary) = value.ok()? else { return None };
        let length = dictionary
            .get(b"Length")
            .ok()
            .and_then(|length| self.resolve(length).as_i64().ok())
            .and_then(|length| usize::try_from(length).ok());
        let data = stream_data(&mut lexer, length, self.streams_end)?;
        self.spend(data.len())?;
        let Some(state) = &self.encryption else { return Some(RawStream { dictionary, data: data.to_vec() }) };
        let generation = match self.places.get(&id) {
            Some(Place::Direct { generation, .. }) => *generation,
            _ => 0,
        };
        let mut object = Object::Stream(Stream::new(dictionary, data.to_vec()));
        catch_unwind(AssertUnwindSafe(|| decrypt_object(state, (id, generation), &mut object))).ok()?.ok()?;
        let Object::Stream(stream) = object else { return None };
        Some(RawStream { dictionary: stream.dict, data: stream.content })
    }

    /// The plain data of a stream, taken off the allowance of the whole file.
    pub(super) fn unpack(&self, stream: &RawStream) -> Result<Vec<u8>, FilterError> {
        let either = |long: &[u8], short: &[u8]| {
            stream.dictionary.get(long).or_else(|_| stream.dictionary.get(short)).cloned().unwrap_or(Object::Null)
        };
        let resolve = |value: &Object| self.resolve(value).as_ref().clone();
        let filters = filter_names(&resolve(&either(b"Filter", b"F")), resolve);
        let parameters: Vec<Option<Dictionary>> = match resolve(&either(b"DecodeParms", b"DP")) {
            Object::Dictionary(dictionary) => vec![Some(dictionary)],
            Object::Array(list) => list.iter().map(|value| resolve(value).as_dict().ok().cloned()).collect(),
            _ => Vec::new(),
        };
        let mut left = self.expanded_left.get();
        let result = unpack(&stream.data, &filters, &parameters, &mut left);
        self.expanded_left.set(left);
        result
    }

    pub(super) fn too_much(&self) -> ParseError {
        ParseError::ExpandsTooMuch {
            detail: format!("its pages unpack to more than {} MiB", self.expanded_max / (1024 * 1024)),
        }
    }

    /// The pages in order.
    pub(super) fn pages(&self, pages_max: usize) -> Result<Vec<Page>, ParseError> {
        let catalog = self.dictionary(&self.trailer, b"Root");
        let root = catalog.as_ref().and_then(|catalog| catalog.get(b"Pages").ok().cloned());
        let mut pages = root.map_or_else(|| Ok(Vec::new()), |root| self.walk_pages(root, pages_max))?;
        if pages.is_empty() {
            // No usable tree: the pages as they stand in the file.
            let mut seen = HashSet::new();
            let loose = self.loose_pages.iter().filter(|id| seen.insert(**id)).take(pages_max);
            pages =
                loose.map(|id| self.object(*id)).map(|node| Page { resources: self.resources(&node), node }).collect();
        }
        if pages.is_empty() { Err(damaged("no pages were found")) } else { Ok(pages) }
    }

    fn resources(&self, node: &Object) -> Option<Rc<Object>> {
        Some(self.resolve(node.as_dict().ok()?.get(b"Resources").ok()?))
    }

    fn walk_pages(&self, root: Object, pages_max: usize) -> Result<Vec<Page>, ParseError> {
        let mut pages = Vec::new();
        let mut seen = HashSet::new();
        let mut open: Vec<(Object, Option<Rc<Object>>)> = vec![(root, None)];
        while let Some((node, inherited)) = open.pop() {
            if let Ok((id, _)) = node.as_reference()
                && !seen.insert(id)
            {
                continue;
            }
            let node = self.resolve(&node);
            let Ok(dictionary) = node.as_dict() else { continue };
            let resources = self.resources(&node).or(inherited);
            match self.get(dictionary, b"Kids").as_array() {
                Ok(kids) => open.extend(kids.iter().rev().map(|kid| (kid.clone(), resources.clone()))),
                Err(_) if pages.len() >= pages_max => {
                    return Err(ParseError::TooLarge { what: "pages", limit: pages_max as u64 });
                }
                Err(_) => pages.push(Page { resources, node }),
            }
        }
        Ok(pages)
    }

    /// The title in the document's properties, undecoded.
    pub(super) fn stated_title(&self) -> Option<Object> {
        let information = self.dictionary(&self.trailer, b"Info")?;
        let title = self.get(&information, b"Title");
        matches!(title.as_ref(), Object::String(..)).then(|| title.as_ref().clone())
    }
}

pub(super) fn damaged(detail: &str) -> ParseError {
    ParseError::damaged(Format::Pdf, detail)
}
