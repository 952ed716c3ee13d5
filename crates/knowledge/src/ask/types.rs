use futures::stream::BoxStream;
