package memory

import (
	"iter"
	"slices"
)

// chunkSize is how many items a chunk of an orderedSet holds at most.
const chunkSize = 256

// orderedSet keeps items in order, in chunks, so that a change moves few of
// them. A chunk that is full is halved, and two side by side are joined when one
// loses an item and both fit into one. So two together are half a chunk at least,
// and a quarter of the memory is in use.
type orderedSet[T any] struct {
	compare func(a, b T) int
	chunks  [][]T // none is empty but the first
}

func newOrderedSet[T any](compare func(a, b T) int) orderedSet[T] {
	return orderedSet[T]{compare: compare, chunks: make([][]T, 1)}
}

// seek tells where x is or belongs.
func (s *orderedSet[T]) seek(x T) (chunk, i int, found bool) {
	chunk, found = slices.BinarySearchFunc(s.chunks[1:], x, func(c []T, x T) int { return s.compare(c[0], x) })
	if found {
		return chunk + 1, 0, true
	}
	i, found = slices.BinarySearchFunc(s.chunks[chunk], x, s.compare)
	return chunk, i, found
}

// add does nothing when x is there, as remove when it is not.
func (s *orderedSet[T]) add(x T) {
	at, i, found := s.seek(x)
	if found {
		return
	}
	c := slices.Insert(s.chunks[at], i, x)
	s.chunks[at] = c
	if len(c) > chunkSize {
		half := len(c) / 2
		s.chunks = slices.Replace(s.chunks, at, at+1, slices.Clone(c[:half]), slices.Clone(c[half:]))
	}
}

func (s *orderedSet[T]) remove(x T) {
	at, i, found := s.seek(x)
	if !found {
		return
	}
	s.chunks[at] = slices.Delete(s.chunks[at], i, i+1)
	for left := min(at, len(s.chunks)-2); left >= max(0, at-1); left-- {
		if len(s.chunks[left])+len(s.chunks[left+1]) <= chunkSize {
			s.chunks[left] = append(s.chunks[left], s.chunks[left+1]...)
			s.chunks = slices.Delete(s.chunks, left+1, left+2)
		}
	}
}

// from gives the items in order, beginning with the first that is not less
// than x.
func (s *orderedSet[T]) from(x T) iter.Seq[T] {
	return func(yield func(T) bool) {
		chunk, i, _ := s.seek(x)
		for _, c := range s.chunks[chunk:] {
			for _, item := range c[i:] {
				if !yield(item) {
					return
				}
			}
			i = 0
		}
	}
}
