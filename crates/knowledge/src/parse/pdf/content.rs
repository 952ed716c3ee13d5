use std::rc::Rc;

use pdf_extract::{Dictionary, Object};

use super::{
    super::ParseError,
    file::{File, Page, RawStream, damaged},
    filters::FilterError,
    fonts::{Font, Fonts},
    lines::{Glyph, Lines},
    syntax::{Item, Lexer, float, is_space},
};

/// Forms within forms; real pages nest a few.
const FORM_DEPTH_MAX: usize = 12;
/// What running a form costs beside its content, in bytes of the file's allowance: empty forms would cost nothing otherwise.
const FORM_PRICE_BYTES: usize = 1_024;
/// Saved graphics states; beyond it they are counted but not kept.
const SAVED_MAX: usize = 512;
/// Values before one operator; longer lists are not text.
const OPERANDS_MAX: usize = 64;
/// Content streams of one page.
const PARTS_MAX: usize = 10_000;

/// Reads the text of a page into lines.
pub(super) fn read_page(
    file: &File<'_>,
    fonts: &mut Fonts,
    page: &Page,
    number: usize,
    lines: &mut Lines,
) -> Result<(), ParseError> {
    let Ok(dictionary) = page.node.as_dict() else { return Ok(()) };
    let content = page_content(file, dictionary, number)?;
    let mut interpreter = Interpreter { file, fonts, lines, state: State::default(), saved: Vec::new(), unsaved: 0 };
    let resources = page.resources.as_ref().and_then(|resources| resources.as_dict().ok());
    interpreter.run(&content, resources, FORM_DEPTH_MAX)
}

/// The page's content streams as one.
fn page_content(file: &File<'_>, page: &Dictionary, number: usize) -> Result<Vec<u8>, ParseError> {
    let Ok(contents) = page.get(b"Contents") else { return Ok(Vec::new()) };
    let resolved = file.resolve(contents);
    let parts = match resolved.as_ref() {
        Object::Array(parts) => parts.iter().take(PARTS_MAX).cloned().collect(),
        Object::Null if contents.as_reference().is_ok() => {
            return Err(damaged(&format!("the content of page {number} is missing")));
        }
        _ => vec![contents.clone()],
    };
    let mut content = Vec::new();
    for part in parts {
        let Some(stream) = file.stream(&part) else {
            return Err(damaged(&format!("the content of page {number} is missing")));
        };
        content.extend(unpack(file, &stream, number)?);
        content.push(b'\n');
    }
    Ok(content)
}

fn unpack(file: &File<'_>, stream: &RawStream, number: usize) -> Result<Vec<u8>, ParseError> {
    file.unpack(stream).map_err(|error| match error {
        FilterError::TooMuch => file.too_much(),
        FilterError::Unsupported | FilterError::Corrupt => {
            damaged(&format!("the content of page {number} cannot be unpacked"))
        }
    })
}

/// The transformation `[a b c d e f]` of PDF: x' = ax + cy + e, y' = bx + dy + f.
#[derive(Clone, Copy)]
struct Matrix([f64; 6]);

impl Matrix {
    const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    fn from_values(values: &[Object]) -> Option<Self> {
        let mut numbers = values.iter().map_while(float).filter(|number| number.is_finite());
        let mut matrix = [0.0; 6];
        for place in &mut matrix {
            *place = numbers.next()?;
        }
        Some(Self(matrix))
    }

    /// First `self`, then `next`.
    fn then(self, next: Self) -> Self {
        let [a, b, c, d, e, f] = self.0;
        let [na, nb, nc, nd, ne, nf] = next.0;
        Self([
            a * na + b * nc,
            a * nb + b * nd,
            c * na + d * nc,
            c * nb + d * nd,
            e * na + f * nc + ne,
            e * nb + f * nd + nf,
        ])
    }

    fn point(self, x: f64, y: f64) -> (f64, f64) {
        let [a, b, c, d, e, f] = self.0;
        (a * x + c * y + e, b * x + d * y + f)
    }

    fn direction(self, x: f64, y: f64) -> (f64, f64) {
        let [a, b, c, d, ..] = self.0;
        (a * x + c * y, b * x + d * y)
    }
}

#[derive(Clone)]
struct State {
    page: Matrix,
    text: Matrix,
    line: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    character_spacing: f64,
    word_spacing: f64,
    scaling: f64,
    leading: f64,
    rise: f64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            page: Matrix::IDENTITY,
            text: Matrix::IDENTITY,
            line: Matrix::IDENTITY,
            font: None,
            size: 1.0,
            character_spacing: 0.0,
            word_spacing: 0.0,
            scaling: 1.0,
            leading: 0.0,
            rise: 0.0,
        }
    }
}

struct Interpreter<'a, 'f> {
    file: &'a File<'f>,
    fonts: &'a mut Fonts,
    lines: &'a mut Lines,
    state: State,
    saved: Vec<State>,
    /// Saves beyond the limit.
    unsaved: usize,
}

impl Interpreter<'_, '_> {
    fn run(&mut self, content: &[u8], resources: Option<&Dictionary>, depth: usize) -> Result<(), ParseError> {
        let mut lexer = Lexer::new(content, 0);
        let mut operands: Vec<Object> = Vec::new();
        loop {
            lexer.forget_count();
            match lexer.next() {
                Ok(Item::Value(value)) => {
                    if operands.len() < OPERANDS_MAX {
                        operands.push(value);
                    }
                }
                Ok(Item::Word(b"BI")) => {
                    skip_inline_image(&mut lexer);
                    operands.clear();
                }
                Ok(Item::Word(b"Do")) => {
                    self.form(&operands, resources, depth)?;
                    operands.clear();
                }
                Ok(Item::Word(operator)) => {
                    self.operator(operator, &operands, resources)?;
                    operands.clear();
                }
                // What comes before the damage was read.
                Ok(Item::End) | Err(_) => return Ok(()),
            }
        }
    }

    fn operator(
        &mut self,
        operator: &[u8],
        operands: &[Object],
        resources: Option<&Dictionary>,
    ) -> Result<(), ParseError> {
        let number =
            |index: usize| operands.get(index).and_then(float).filter(|number| number.is_finite()).unwrap_or(0.0);
        match operator {
            b"q" => self.save(),
            b"Q" => self.restore(),
            b"cm" => {
                if let Some(matrix) = Matrix::from_values(operands) {
                    self.state.page = matrix.then(self.state.page);
                }
            }
            b"BT" => (self.state.text, self.state.line) = (Matrix::IDENTITY, Matrix::IDENTITY),
            b"Tf" => {
                if let Some(Object::Name(name)) = operands.first() {
                    self.state.font = Some(self.fonts.find(self.file, resources, name));
                    self.state.size = number(1);
                }
            }
            b"Tc" => self.state.character_spacing = number(0),
            b"Tw" => self.state.word_spacing = number(0),
            b"Tz" => self.state.scaling = number(0) / 100.0,
            b"TL" => self.state.leading = number(0),
            b"Ts" => self.state.rise = number(0),
            b"Td" => self.next_line(number(0), number(1)),
            b"TD" => {
                self.state.leading = -number(1);
                self.next_line(number(0), number(1));
            }
            b"T*" => self.next_line(0.0, -self.state.leading),
            b"Tm" => {
                if let Some(matrix) = Matrix::from_values(operands) {
                    (self.state.text, self.state.line) = (matrix, matrix);
                }
            }
            b"Tj" => self.show_operand(operands.first())?,
            b"TJ" => {
                for part in operands.first().and_then(|array| array.as_array().ok()).into_iter().flatten() {
                    match float(part) {
                        Some(adjustment) => self.advance(-adjustment / 1_000.0 * self.state.size),
                        None => self.show_operand(Some(part))?,
                    }
                }
            }
            b"'" => {
                self.next_line(0.0, -self.state.leading);
                self.show_operand(operands.first())?;
            }
            b"\"" => {
                (self.state.word_spacing, self.state.character_spacing) = (number(0), number(1));
                self.next_line(0.0, -self.state.leading);
                self.show_operand(operands.get(2))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn save(&mut self) {
        if self.saved.len() < SAVED_MAX {
            self.saved.push(self.state.clone());
        } else {
            self.unsaved += 1;
        }
    }

    fn restore(&mut self) {
        if self.unsaved > 0 {
            self.unsaved -= 1;
        } else if let Some(state) = self.saved.pop() {
            self.state = state;
        }
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.state.line = Matrix([1.0, 0.0, 0.0, 1.0, x, y]).then(self.state.line);
        self.state.text = self.state.line;
    }

    /// Moves along the line by a distance in text space, before horizontal scaling.
    fn advance(&mut self, distance: f64) {
        let is_vertical = self.state.font.as_ref().is_some_and(|font| font.is_vertical);
        let (x, y) = if is_vertical { (0.0, distance) } else { (distance * self.state.scaling, 0.0) };
        self.state.text = Matrix([1.0, 0.0, 0.0, 1.0, x, y]).then(self.state.text);
    }

    fn show_operand(&mut self, operand: Option<&Object>) -> Result<(), ParseError> {
        let (Some(Object::String(string, _)), Some(font)) = (operand, self.state.font.clone()) else { return Ok(()) };
        for shown in font.characters(string) {
            let width = if font.is_vertical { -1.0 } else { f64::from(shown.width) / 1_000.0 } * self.state.size;
            let along = if font.is_vertical { (0.0, width) } else { (width * self.state.scaling, 0.0) };
            let to_page = self.state.text.then(self.state.page);
            let (x, y) = to_page.point(0.0, self.state.rise);
            let advance = to_page.direction(along.0, along.1);
            let up = to_page.direction(0.0, self.state.size);
            let unit =
                to_page.direction(if font.is_vertical { 0.0 } else { 1.0 }, if font.is_vertical { -1.0 } else { 0.0 });
            self.lines.add(Glyph {
                text: &shown.text,
                position: (x, y),
                direction: unit,
                advance: advance.0.hypot(advance.1),
                size: up.0.hypot(up.1),
                is_bold: font.is_bold,
                is_monospaced: font.is_monospaced,
            })?;
            let spacing =
                self.state.character_spacing + if shown.is_space_code { self.state.word_spacing } else { 0.0 };
            self.advance(width + if font.is_vertical { -spacing } else { spacing });
        }
        Ok(())
    }

    /// Runs a form, which is a piece of content with resources of its own. Every run is taken off the allowance of the file,
    /// so forms that use one another cannot multiply.
    fn form(&mut self, operands: &[Object], resources: Option<&Dictionary>, depth: usize) -> Result<(), ParseError> {
        let (Some(Object::Name(name)), Some(depth)) = (operands.first(), depth.checked_sub(1)) else { return Ok(()) };
        let forms = resources.map(|resources| self.file.get(resources, b"XObject"));
        let Some(entry) = forms.as_ref().and_then(|forms| forms.as_dict().ok()?.get(name).ok()) else { return Ok(()) };
        // The dictionary is looked at first: images are most of a file and not worth copying.
        let header = self.file.resolve(entry);
        if !header
            .as_dict()
            .is_ok_and(|header| self.file.get(header, b"Subtype").as_name().is_ok_and(|subtype| subtype == b"Form"))
        {
            return Ok(());
        }
        self.file.charge(FORM_PRICE_BYTES)?;
        let Some(stream) = self.file.stream(entry) else { return Ok(()) };
        let content = match self.file.unpack(&stream) {
            Ok(content) => content,
            Err(FilterError::TooMuch) => return Err(self.file.too_much()),
            Err(_) => return Ok(()),
        };
        let before = (self.state.clone(), self.saved.len(), self.unsaved);
        let matrix = self.file.get(&stream.dictionary, b"Matrix");
        if let Some(matrix) = matrix.as_array().ok().and_then(|values| Matrix::from_values(values)) {
            self.state.page = matrix.then(self.state.page);
        }
        let own = self.file.dictionary(&stream.dictionary, b"Resources");
        self.run(&content, own.as_ref().or(resources), depth)?;
        // A form may not change the state outside, whatever it saves and restores.
        self.saved.truncate(before.1);
        (self.state, self.unsaved) = (before.0, before.2);
        Ok(())
    }
}

/// Skips from after `BI` to after `EI`. The data of an inline image is not syntax.
fn skip_inline_image(lexer: &mut Lexer<'_>) {
    loop {
        match lexer.next() {
            Ok(Item::Word(b"ID")) => break,
            Ok(Item::End) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let rest = lexer.rest();
    let end = rest.windows(4).position(|window| match window {
        [before, b'E', b'I', after] => is_space(*before) && is_space(*after),
        _ => false,
    });
    lexer.position += end.map_or(rest.len(), |end| end + 3);
}
