//! Media inside and outside of URLs.

use crate::chat::{Content, Media, MediaSource};

impl Media {
    /// Of an address; a `data:` URL in base64 (RFC 2397) is taken apart.
    pub fn from_url(url: &str) -> Self {
        let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(','));
        let (media_type, source) = match inline.and_then(|(head, data)| Some((head.strip_suffix(";base64")?, data))) {
            Some((head, data)) => {
                let media_type = head.split(';').next().filter(|kind| !kind.is_empty());
                (media_type.map(str::to_owned), MediaSource::Base64(data.to_owned()))
            }
            None => (None, MediaSource::Url(url.to_owned())),
        };
        Self { media_type, source, name: None, detail: None }
    }

    /// As an address: its own, or a `data:` URL. `None` when it has none (a file in a provider's store, a text).
    pub fn to_url(&self) -> Option<String> {
        match &self.source {
            MediaSource::Url(url) => Some(url.clone()),
            MediaSource::Base64(data) => {
                let media_type = self.media_type.as_deref().unwrap_or("application/octet-stream");
                Some(format!("data:{media_type};base64,{data}"))
            }
            MediaSource::Text(_) | MediaSource::File(_) => None,
        }
    }

    /// As the part that its MIME type says: an image, a sound, a video, else a document.
    pub fn into_content(self) -> Content {
        let class = self.media_type.as_deref().and_then(|kind| kind.split('/').next()).unwrap_or("");
        match class {
            "image" => Content::Image(self),
            "audio" => Content::Audio(self),
            "video" => Content::Video(self),
            _ => Content::Document(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls_are_taken_apart_and_put_together() {
        let url = "data:image/png;base64,iVBORw0KGgo=";
        let media = Media::from_url(url);
        assert_eq!(media.media_type.as_deref(), Some("image/png"));
        assert_eq!(media.source, MediaSource::Base64("iVBORw0KGgo=".to_owned()));
        assert_eq!(media.to_url().as_deref(), Some(url));
        let parameters = Media::from_url("data:text/plain;charset=utf-8;base64,aGk=");
        assert_eq!(parameters.media_type.as_deref(), Some("text/plain"));
        for other in ["https://example.com/a.png", "data:text/plain,hi", "data:nonsense"] {
            assert_eq!(Media::from_url(other).source, MediaSource::Url(other.to_owned()));
        }
    }
}
