use serde::Serialize;

/// A page of a list.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The rows, newest first unless the list says otherwise.
    pub data: Vec<T>,
    /// Whether rows follow.
    pub has_more: bool,
    /// Pass it as `cursor` for the next page.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page from up to `limit + 1` rows: the extra row only tells that more follow. `cursor_of` names a row's place.
    pub fn from_rows(mut rows: Vec<T>, limit: u32, cursor_of: impl Fn(&T) -> String) -> Self {
        let limit = limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if has_more { rows.last().map(cursor_of) } else { None };
        Self { data: rows, has_more, next_cursor }
    }

    /// The same page with other rows.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            data: self.data.into_iter().map(convert).collect(),
            has_more: self.has_more,
            next_cursor: self.next_cursor,
        }
    }
}

/// Which page is asked for: at most `limit` rows after `cursor`.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// 1 to 200 rows.
    pub limit: u32,
    /// `next_cursor` of the page before; `None` for the first. Lists that order by id use the last row's id.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// Rows on a page when the caller does not say.
    pub const LIMIT_DEFAULT: u32 = 50;
    /// Rows on a page at most: keeps every answer small.
    pub const LIMIT_MAX: u32 = 200;

    /// How many rows to fetch: one more than shown, to know whether more follow.
    pub fn fetch_limit(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: Self::LIMIT_DEFAULT, cursor: None }
    }
}
