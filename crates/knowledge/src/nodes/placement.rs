//! Where the vectors of a collection are.

use plasma_kernel::{CollectionId, Error, Result, TenantId, Timestamp};
use plasma_store::search_node::{NODE_DIMENSIONS_MAX, ShardTable};
use serde::{Deserialize, Serialize};

use crate::limits;

/// On which search nodes the vectors of a collection are to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlacementChoice {
    /// Names of search nodes, 1 to 16, each once.
    #[schema(min_items = 1, max_items = 16)]
    pub nodes: Vec<String>,
    /// Into how many parts the collection is split, which are dealt to the nodes in turn: at least as many as nodes, at most 64;
    /// one for each node when absent.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 64)]
    pub split: Option<u32>,
}

/// A place with its generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) generation: u32,
    /// None stands for the processes' own indexes.
    pub(crate) nodes: Vec<String>,
    pub(crate) split: u32,
}

/// Where a collection is, and where it is being moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) serving: Place,
    pub(crate) target: Option<Place>,
    /// The newest generation that there ever was: one that comes twice would find tables that missed changes.
    pub(crate) last_generation: u32,
    pub(crate) move_error: Option<String>,
    pub(crate) move_started_at: Option<Timestamp>,
}

/// A collection whose vectors are on nodes, or are to be.
#[derive(Clone, Debug)]
pub(crate) struct PlacedCollection {
    pub(crate) tenant: TenantId,
    pub(crate) collection: CollectionId,
    pub(crate) dimensions: Option<usize>,
    /// Which of its vectors are searched.
    pub(crate) vectors: u64,
    pub(crate) recall_target: f64,
    pub(crate) placement: Placement,
}

/// Which shard of `split` a document belongs to, by the lower half of its id: random bits, so that shards are of about one size.
pub(crate) fn shard_of(document_low: u64, split: u32) -> u32 {
    u32::try_from(document_low % u64::from(split.max(1))).unwrap_or(0)
}

impl Place {
    /// The processes' own indexes.
    pub(crate) fn in_process(generation: u32) -> Self {
        Self { generation, nodes: Vec::new(), split: 0 }
    }

    pub(crate) fn is_in_process(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The shards, each with its node's name.
    pub(crate) fn shards(&self) -> impl Iterator<Item = (u32, &str)> {
        let nodes = self.nodes.iter().map(String::as_str).cycle();
        (0..self.split).zip(nodes)
    }

    /// The shards on a node.
    pub(crate) fn tables_on(&self, collection: CollectionId, node: &str) -> Vec<ShardTable> {
        let ours = self.shards().filter(|(_, name)| *name == node);
        ours.map(|(number, _)| ShardTable::new(collection, self.generation, number)).collect()
    }
}

impl Placement {
    /// Of a collection that was never on nodes.
    pub(crate) fn in_process() -> Self {
        Self {
            serving: Place::in_process(0),
            target: None,
            last_generation: 0,
            move_error: None,
            move_started_at: None,
        }
    }

    /// Whether the processes' own indexes must have the vectors.
    pub(crate) fn needs_own_index(&self) -> bool {
        self.places().any(Place::is_in_process)
    }

    /// Where it is, and where it goes.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.serving).chain(&self.target)
    }

    /// Sends the collection to another place, and returns that place's generation, which was never there.
    pub(crate) fn send_to(&mut self, nodes: Vec<String>, split: u32, now: Timestamp) -> u32 {
        let generation = self.last_generation.saturating_add(1);
        self.last_generation = generation;
        self.target = Some(Place { generation, nodes, split });
        self.move_started_at = Some(now);
        generation
    }

    /// Whether the collection is being moved to the place with this generation.
    pub(crate) fn is_moving_to(&self, generation: u32) -> bool {
        self.target.as_ref().is_some_and(|target| target.generation == generation)
    }

    /// Stays where it is. `false` when it was not being moved.
    pub(crate) fn stay(&mut self, error: Option<String>) -> bool {
        self.move_error = error;
        self.move_started_at = None;
        self.target.take().is_some()
    }

    /// The place where it was being moved answers from now on.
    pub(crate) fn arrive(&mut self) {
        if let Some(target) = self.target.take() {
            self.serving = target;
        }
        self.move_error = None;
        self.move_started_at = None;
    }
}

impl PlacementChoice {
    /// The number of shards.
    pub(crate) fn shards(&self) -> u32 {
        self.split.unwrap_or_else(|| u32::try_from(self.nodes.len()).unwrap_or(u32::MAX))
    }

    /// Checks the choice against the nodes that there are.
    pub(crate) fn check(&self, known: &[&str], dimensions: Option<usize>) -> Result<()> {
        if known.is_empty() {
            return Err(no_nodes());
        }
        let nodes = self.nodes.len();
        if !(1..=limits::PLACEMENT_NODES_MAX).contains(&nodes) {
            let message = format!("must name 1 to {} search nodes", limits::PLACEMENT_NODES_MAX);
            return Err(Error::invalid("placement.nodes", message)
                .remedy("send null instead of a placement to have the vectors in the processes' own indexes"));
        }
        for (at, name) in self.nodes.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let shown: String = name.chars().filter(|character| !character.is_control()).take(40).collect();
                return Err(Error::invalid(
                    format!("placement.nodes[{at}]"),
                    format!("there is no search node `{shown}`"),
                )
                .remedy(format!("there are: {}", known.join(", "))));
            }
            if self.nodes.iter().take(at).any(|other| other == name) {
                return Err(Error::invalid(format!("placement.nodes[{at}]"), format!("names `{name}` twice")));
            }
        }
        let split = self.shards();
        if (split as usize) < nodes || split > limits::PLACEMENT_SPLIT_MAX {
            let message =
                format!("must be {nodes} (the number of nodes) to {}, got {split}", limits::PLACEMENT_SPLIT_MAX);
            return Err(Error::invalid("placement.split", message));
        }
        check_dimensions(dimensions)
    }
}

/// Whether pgvector's index takes vectors of this length.
pub(crate) fn check_dimensions(dimensions: Option<usize>) -> Result<()> {
    match dimensions {
        Some(dimensions) if dimensions > NODE_DIMENSIONS_MAX => Err(Error::conflict(
            "search_node_dimensions",
            format!(
                "the collection's vectors have {dimensions} numbers, and pgvector's index takes at most {NODE_DIMENSIONS_MAX}"
            ),
        )
        .field("placement")
        .remedy("leave it in the processes' own indexes, or use an embedding model with shorter vectors")),
        _ => Ok(()),
    }
}

/// No search nodes are configured.
pub(crate) fn no_nodes() -> Error {
    Error::conflict("search_nodes_not_configured", "this installation has no search nodes")
        .field("placement")
        .remedy("add a table [search.nodes.NAME] with the url of a Postgres with pgvector to plasma.toml, then restart")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(nodes: &[&str], split: Option<u32>) -> PlacementChoice {
        PlacementChoice { nodes: nodes.iter().map(|name| (*name).to_owned()).collect(), split }
    }

    #[test]
    fn shards_are_dealt_to_the_nodes_in_turn() {
        let place = Place { generation: 3, nodes: vec!["a".to_owned(), "b".to_owned()], split: 3 };
        assert_eq!(place.shards().collect::<Vec<_>>(), [(0, "a"), (1, "b"), (2, "a")]);
        let collection = CollectionId::from_bits(7);
        assert_eq!(
            place.tables_on(collection, "a"),
            [ShardTable::new(collection, 3, 0), ShardTable::new(collection, 3, 2)]
        );
        assert!(place.tables_on(collection, "c").is_empty());
        assert!(Place::in_process(0).shards().next().is_none());
    }

    #[test]
    fn every_document_has_one_shard() {
        for low in [0, 1, 5, u64::MAX] {
            assert_eq!(shard_of(low, 1), 0);
            assert!(shard_of(low, 3) < 3);
        }
        assert_eq!(shard_of(7, 0), 0);
    }

    #[test]
    fn wrong_choices_name_the_field() {
        let field = |choice: PlacementChoice| {
            choice.check(&["a", "b"], Some(384)).map_err(|error| error.field_name().unwrap_or_default().to_owned())
        };
        assert_eq!(field(choice(&["a", "b"], None)), Ok(()));
        assert_eq!(field(choice(&["a"], Some(4))), Ok(()));
        assert_eq!(field(choice(&[], None)), Err("placement.nodes".to_owned()));
        assert_eq!(field(choice(&["a", "c"], None)), Err("placement.nodes[1]".to_owned()));
        assert_eq!(field(choice(&["a", "a"], None)), Err("placement.nodes[1]".to_owned()));
        assert_eq!(field(choice(&["a", "b"], Some(1))), Err("placement.split".to_owned()));
        assert_eq!(field(choice(&["a"], Some(65))), Err("placement.split".to_owned()));
        assert_eq!(choice(&["a"], None).check(&[], None).unwrap_err().reason(), "search_nodes_not_configured");
        assert_eq!(choice(&["a"], None).check(&["a"], Some(4_096)).unwrap_err().reason(), "search_node_dimensions");
    }

    #[test]
    fn a_generation_never_comes_twice() {
        let mut placement = Placement::in_process();
        assert_eq!(placement.send_to(vec!["a".to_owned()], 1, 7), 1);
        assert!(placement.is_moving_to(1) && placement.needs_own_index());
        assert!(placement.stay(None) && !placement.stay(None));
        assert_eq!(placement.send_to(vec!["b".to_owned()], 1, 8), 2);
        placement.arrive();
        assert_eq!((placement.serving.generation, placement.target.as_ref()), (2, None));
        assert!(!placement.needs_own_index());
    }
}
