//! What an answer tells, one object after the other.

use l2tp_abi::nl::Message;

use crate::conversation::{Conversation, Transport};
use crate::error::Error;

/// The objects of an answer as they come in: no more of a long list is in memory than one datagram.
///
/// It ends with the answer or with the first error. What is not read is passed over with the next request.
#[derive(Debug)]
pub struct Answers<'c, T, M> {
    conversation: &'c mut Conversation<T>,
    read: fn(&Message<'_>) -> Option<M>,
}

impl<'c, T: Transport, M> Answers<'c, T, M> {
    pub(crate) fn new(conversation: &'c mut Conversation<T>, read: fn(&Message<'_>) -> Option<M>) -> Self {
        Self { conversation, read }
    }

    /// Reads the whole answer, of which nothing is wanted but that it is no refusal.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.try_for_each(|object| object.map(drop))
    }
}

impl<T: Transport, M> Iterator for Answers<'_, T, M> {
    type Item = Result<M, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.conversation.next(self.read).transpose()
    }
}
