//! One field's values over all documents of a view, sorted: a condition finds its documents without looking at the others.

use std::collections::HashMap;

use plasma_kernel::Timestamp;

use super::{Documents, Field, Operand, Span, Test, as_float, geo::Circle};
use crate::{GeoPoint, metadata::Scalar, search::allowed::Bitmap};

/// A place in the view: a collection has at most 10,000,000 documents.
type Place = u32;

/// The values of one field.
#[derive(Debug)]
pub(super) struct Column {
    /// Documents that have the field.
    present: Bitmap,
    /// By text, each with its documents.
    texts: Vec<(Box<str>, Vec<Place>)>,
    /// By value.
    numbers: Vec<NumberAt>,
    falses: Bitmap,
    trues: Bitmap,
    /// By time.
    times: Vec<(Timestamp, Place)>,
    /// From south to north.
    points: Vec<(GeoPoint, Place)>,
}

#[derive(Clone, Copy, Debug)]
struct NumberAt {
    value: f64,
    /// The number itself when it is whole: a float cannot tell large ones apart.
    whole: Option<i64>,
    place: Place,
}

impl Column {
    pub(super) fn build(field: &Field, documents: &dyn Documents) -> Self {
        let places = documents.count();
        let mut texts: HashMap<&str, Vec<Place>> = HashMap::new();
        let mut column = Self {
            present: Bitmap::empty(places),
            texts: Vec::new(),
            numbers: Vec::new(),
            falses: Bitmap::empty(places),
            trues: Bitmap::empty(places),
            times: Vec::new(),
            points: Vec::new(),
        };
        for at in 0..places {
            let Ok(place) = Place::try_from(at) else { break };
            let Some(document) = documents.fields(at) else { continue };
            let Some(scalars) = field.scalars(&document) else { continue };
            column.present.insert(at);
            for scalar in scalars {
                match scalar {
                    Scalar::Text(text) => texts.entry(text).or_default().push(place),
                    Scalar::Integer(number) => {
                        column.numbers.push(NumberAt { value: as_float(number), whole: Some(number), place });
                    }
                    Scalar::Float(value) => column.numbers.push(NumberAt { value, whole: None, place }),
                    Scalar::Bool(false) => column.falses.insert(at),
                    Scalar::Bool(true) => column.trues.insert(at),
                    Scalar::Time(time) => column.times.push((time, place)),
                    Scalar::Geo(point) => column.points.push((point, place)),
                    // The documents of a view are sorted by their ids: that is their column.
                    Scalar::Document(_) => {}
                }
            }
        }
        column.texts = texts.into_iter().map(|(text, places)| (Box::from(text), places)).collect();
        column.texts.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        column.numbers.sort_unstable_by(|left, right| left.value.total_cmp(&right.value));
        column.times.sort_unstable();
        column.points.sort_unstable_by(|left, right| left.0.lat().total_cmp(&right.0.lat()));
        column
    }

    /// Documents that have the field.
    pub(super) fn present(&self) -> &Bitmap {
        &self.present
    }

    /// The documents that fit.
    pub(super) fn matching(&self, test: &Test, places: usize) -> Bitmap {
        let mut found = Bitmap::empty(places);
        match test {
            Test::Exists(wanted) => {
                found.unite(&self.present);
                if !wanted {
                    found.invert();
                }
            }
            Test::AnyOf(operands) => operands.iter().for_each(|operand| self.add_equal(operand, &mut found)),
            Test::AllOf(operands) => {
                found.unite(&self.present);
                for operand in operands {
                    let mut equal = Bitmap::empty(places);
                    self.add_equal(operand, &mut equal);
                    found.intersect(&equal);
                }
            }
            Test::Numbers(span) => {
                insert_all(within(&self.numbers, span, |number| number.value), |number| number.place, &mut found);
            }
            Test::Times(span) => insert_all(within(&self.times, span, |time| time.0), |time| time.1, &mut found),
            Test::Prefix(prefix) => {
                let first = self.texts.partition_point(|(text, _)| **text < **prefix);
                let texts = self.texts.iter().skip(first).take_while(|(text, _)| text.starts_with(prefix.as_str()));
                texts.for_each(|(_, places)| insert_all(places, |place| *place, &mut found));
            }
            Test::Near(circle) => self.add_near(circle, &mut found),
            Test::Within(rectangle) => {
                let latitudes = Span::closed(rectangle.south, rectangle.north);
                for (point, place) in within(&self.points, &latitudes, |point| point.0.lat()) {
                    if rectangle.contains(*point) {
                        found.insert(*place as usize);
                    }
                }
            }
        }
        found
    }

    fn add_near(&self, circle: &Circle, found: &mut Bitmap) {
        let (south, north) = circle.latitudes();
        for (point, place) in within(&self.points, &Span::closed(south, north), |point| point.0.lat()) {
            if circle.contains(*point) {
                found.insert(*place as usize);
            }
        }
    }

    fn add_equal(&self, operand: &Operand, found: &mut Bitmap) {
        match operand {
            Operand::Text(text, time) => {
                let at = self.texts.binary_search_by(|(other, _)| (**other).cmp(text.as_str()));
                if let Some((_, places)) = at.ok().and_then(|at| self.texts.get(at)) {
                    insert_all(places, |place| *place, found);
                }
                if let Some(time) = time {
                    self.add_equal_times(*time, found);
                }
            }
            Operand::Integer(number) => self.add_equal_numbers(as_float(*number), Some(*number), found),
            Operand::Float(number) => self.add_equal_numbers(*number, None, found),
            Operand::Bool(flag) => found.unite(if *flag { &self.trues } else { &self.falses }),
            Operand::Time(time) => self.add_equal_times(*time, found),
            Operand::Geo(point) => {
                for (other, place) in
                    within(&self.points, &Span::closed(point.lat(), point.lat()), |point| point.0.lat())
                {
                    if other == point {
                        found.insert(*place as usize);
                    }
                }
            }
            Operand::Document(_) => {}
        }
    }

    fn add_equal_numbers(&self, value: f64, whole: Option<i64>, found: &mut Bitmap) {
        for number in within(&self.numbers, &Span::closed(value, value), |number| number.value) {
            // Two whole numbers are compared as such.
            if whole.is_none() || number.whole.is_none() || whole == number.whole {
                found.insert(number.place as usize);
            }
        }
    }

    fn add_equal_times(&self, time: Timestamp, found: &mut Bitmap) {
        insert_all(within(&self.times, &Span::closed(time, time), |time| time.0), |time| time.1, found);
    }
}

impl<T: Copy> Span<T> {
    /// Both bounds belong to it.
    fn closed(from: T, to: T) -> Self {
        Self { from: std::ops::Bound::Included(from), to: std::ops::Bound::Included(to) }
    }
}

/// The part of `sorted` whose keys are in the span.
fn within<'a, E, T: PartialOrd>(sorted: &'a [E], span: &Span<T>, key: impl Fn(&E) -> T) -> &'a [E] {
    let first = sorted.partition_point(|entry| span.is_before(&key(entry)));
    let after = sorted.partition_point(|entry| !span.is_after(&key(entry)));
    sorted.get(first..after).unwrap_or_default()
}

fn insert_all<E>(entries: &[E], place: impl Fn(&E) -> Place, found: &mut Bitmap) {
    entries.iter().for_each(|entry| found.insert(place(entry) as usize));
}
