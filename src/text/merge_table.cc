#include "text/merge_table.h"

namespace sambay {

MergeTable::MergeTable(const std::vector<Merge>& merges) {
  const size_t size = std::bit_ceil(2 * merges.size() + 2);
  slot_shift_ = 64 - std::countr_zero(size);
  slots_.assign(size + 1, Entry{0, no_rank, 0});
  const size_t words = std::bit_ceil(merges.size() / 8 + 2);  // one bit in eight, or fewer, is set
  word_shift_ = 64 - std::countr_zero(words);
  filter_.resize(words);
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const Merge& merge = merges[rank];
    const uint64_t pair = pair_of(merge.left, merge.right), hash = hash_of(pair);
    filter_[word_of(hash)] |= bit_of(hash);
    size_t at = slot_of(hash);
    while (slots_[at].rank != no_rank && slots_[at].pair != pair) {
      at = next(at);
    }
    // Of a pair listed twice the later rank counts, as in Hugging Face's library.
    slots_[at] = {pair, static_cast<uint32_t>(rank), merge.merged};
  }
}

}  // namespace sambay
