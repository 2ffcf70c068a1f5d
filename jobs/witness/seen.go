package witness

import (
	"maps"
	"slices"
)

// Seen is a set of mails that were handed over: small, for it is asked before every sending. It forgets the lowest numbers
// when it grows too large.
type Seen struct {
	blocks map[uint64]*block
}

// block has 1,024 numbers in a row.
type block struct {
	bits   [16]uint64
	newest int64 // Created of the youngest: a row that is younger has a number that came again
}

const (
	blockSize = 1024
	maxBlocks = 16384 // 2.5 MB
)

// Add takes a mail in.
func (s *Seen) Add(m Mail) {
	id, n := m.ID, m.ID/blockSize
	b := s.blocks[n]
	if b == nil {
		if s.blocks == nil {
			s.blocks = map[uint64]*block{}
		}
		if len(s.blocks) >= maxBlocks {
			s.forget()
		}
		b = &block{}
		s.blocks[n] = b
	}
	b.bits[id%blockSize/64] |= 1 << (id % 64)
	b.newest = max(b.newest, m.Created)
}

// forget drops the lower half.
func (s *Seen) forget() {
	all := slices.Sorted(maps.Keys(s.blocks))
	for _, n := range all[:len(all)/2] {
		delete(s.blocks, n)
	}
}

// Has tells whether a row with this number and this time of insertion may have been handed over.
func (s *Seen) Has(m Mail) bool {
	b := s.blocks[m.ID/blockSize]
	return b != nil && m.Created <= b.newest && b.bits[m.ID%blockSize/64]&(1<<(m.ID%64)) != 0
}
