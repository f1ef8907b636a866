package treeblob

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/stsbackup/stsbackup/storage/repository/format"
)

const (
	// MaxNodeText bounds what an entry takes in a tree besides the ids of its pieces, in bytes: a name has at most 255
	// bytes, the target of a symlink 4096, and extended attributes some 64 KiB each.
	MaxNodeText = 16 << 20
	// maxNesting is how deep package json goes, too.
	maxNesting = 10_000
	// scanBuffer is how much of a tree is in memory at once, in bytes, unless an entry is larger.
	scanBuffer = 64 << 10
	// maxKey bounds the name of a field beside the list of nodes, in bytes.
	maxKey = 4 << 10
)

// ErrNodeText says that an entry is larger than MaxNodeText allows.
var ErrNodeText = fmt.Errorf("an entry is larger than the %d MiB that one can be", MaxNodeText>>20)

// scanner cuts the bytes of a large tree into its entries. Whatever lies between them takes no memory, however long it
// is.
type scanner struct {
	from io.Reader
	buf  []byte // bytes that were read; those from at on have not been looked at
	at   int
	room []byte
	read int64
	node []byte      // the current entry, without the ids of its pieces
	ids  []format.ID // those ids; nil if the entry has no list of them
	// piece, unless nil, gets the ids instead of ids, which then is empty.
	piece  func(format.ID)
	pieces int // of the current entry, so far
}

func newScanner(from io.Reader) *scanner {
	return &scanner{from: from, room: make([]byte, scanBuffer)}
}

// fill reads more. The end of the blob is an unexpected one here: the caller needs more.
func (s *scanner) fill() error {
	for range 100 {
		n, err := s.from.Read(s.room)
		if n > 0 {
			s.buf, s.at = s.room[:n], 0
			s.read += int64(n)
			return nil
		}
		if err != nil {
			return unexpected(err)
		}
	}
	return io.ErrNoProgress
}

// offset is how far the scanner has looked at the tree.
func (s *scanner) offset() int64 { return s.read - int64(len(s.buf)-s.at) }

// peek returns the next byte that is no space.
func (s *scanner) peek() (byte, error) {
	for {
		for ; s.at < len(s.buf); s.at++ {
			switch c := s.buf[s.at]; c {
			case ' ', '\t', '\r', '\n':
			default:
				return c, nil
			}
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
}

// expect skips one byte, which may follow spaces.
func (s *scanner) expect(want byte) error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c != want {
		return fmt.Errorf("%q where %q should be: %w", c, want, ErrNoTree)
	}
	s.at++
	return nil
}

// begin finds the list of nodes. Fields that the format does not have yet may come before it.
func (s *scanner) begin() error {
	if err := s.expect('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		found, more, err := s.field(first)
		if err != nil {
			return err
		}
		if !more {
			return ErrNoTree
		}
		if found {
			return s.expect('[')
		}
	}
}

// field skips a field of the tree. It stops at the value of the list of nodes. more is false at the end of the fields.
func (s *scanner) field(first bool) (nodes, more bool, err error) {
	c, err := s.peek()
	if err != nil {
		return false, false, err
	}
	if c == '}' {
		s.at++
		return false, false, nil
	}
	if !first {
		if err := s.expect(','); err != nil {
			return false, false, err
		}
	}
	if c, err = s.peek(); err != nil || c != '"' {
		return false, false, errors.Join(ErrNoTree, err)
	}
	s.node = s.node[:0]
	if err := s.value(maxKey, true); err != nil {
		return false, false, err
	}
	var key string
	if err := json.Unmarshal(s.node, &key); err != nil {
		return false, false, err
	}
	if err := s.expect(':'); err != nil {
		return false, false, err
	}
	if key == "nodes" {
		return true, true, nil
	}
	if _, err := s.peek(); err != nil {
		return false, false, err
	}
	return false, true, s.value(0, false)
}

// end makes sure that the tree ends behind the list of nodes, or behind fields that the format does not have yet.
func (s *scanner) end() error {
	if err := s.expect(']'); err != nil {
		return err
	}
	for {
		nodes, more, err := s.field(false)
		if err != nil {
			return err
		}
		if nodes {
			return fmt.Errorf("a second list: %w", ErrNoTree)
		}
		if !more {
			break
		}
	}
	if _, err := s.peek(); !errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.Join(fmt.Errorf("something follows it: %w", ErrNoTree), err)
	}
	return nil
}

// entry reads the next entry.
func (s *scanner) entry(n *Node) error {
	s.node, s.ids, s.pieces = s.node[:0], nil, 0
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c != '{' {
		return fmt.Errorf("an entry that is none: %w", ErrNoTree)
	}
	if err := s.value(MaxNodeText, true); err != nil {
		return err
	}
	if decodeNode(s.node, n) != len(s.node) {
		*n = Node{}
		if err := json.Unmarshal(s.node, n); err != nil {
			return err
		}
	}
	if s.ids != nil {
		n.Content = s.ids
	}
	return nil
}

// value skips one value, whose first byte is next. With keep the value goes to s.node, up to limit bytes; the ids of
// pieces go to s.ids, because there can be very many.
func (s *scanner) value(limit int, keep bool) error {
	depth, quoted, escaped := 0, false, false
	for {
		start := s.at
		for ; s.at < len(s.buf); s.at++ {
			c := s.buf[s.at]
			ends := false
			switch {
			case escaped:
				escaped = false
			case quoted:
				escaped = c == '\\'
				quoted = c != '"'
				ends = !quoted && depth == 0
			case c == '"':
				quoted = true
			case c == '{', c == '[':
				depth++
			case depth > 0 && (c == '}' || c == ']'):
				depth--
				ends = depth == 0
			case depth == 0 && (c == ',' || c == '}' || c == ']' || c <= ' '): // behind a number or a word
				return s.keep(s.buf[start:s.at], limit, keep)
			}
			if depth > maxNesting {
				return fmt.Errorf("values nested too deep: %w", ErrNoTree)
			}
			if list := c == '[' && !quoted && depth == 2; list || ends {
				s.at++
				if err := s.keep(s.buf[start:s.at], limit, keep); err != nil || ends {
					return err
				}
				if list && keep && bytes.HasSuffix(s.node, []byte(`"content":[`)) {
					if err := s.content(); err != nil {
						return err
					}
				}
				start = s.at
				s.at-- // the loop goes on behind it
			}
		}
		if err := s.keep(s.buf[start:], limit, keep); err != nil {
			return err
		}
		if err := s.fill(); err != nil {
			return err
		}
	}
}

// keep appends to s.node.
func (s *scanner) keep(part []byte, limit int, keep bool) error {
	if !keep {
		return nil
	}
	if len(s.node)+len(part) > limit {
		return ErrNodeText
	}
	s.node = append(s.node, part...)
	return nil
}

// content reads a list of ids up to its end, but not the end itself.
func (s *scanner) content() error {
	if s.ids != nil {
		return fmt.Errorf("an entry has content twice: %w", ErrNoTree)
	}
	s.ids = []format.ID{}
	var text [2 * len(format.ID{})]byte
	for {
		c, err := s.peek()
		if err != nil || c == ']' && s.pieces == 0 {
			return err
		}
		if err := s.expect('"'); err != nil {
			return err
		}
		for i := range text {
			if s.at == len(s.buf) {
				if err := s.fill(); err != nil {
					return err
				}
			}
			text[i] = s.buf[s.at]
			s.at++
		}
		var id format.ID
		if err := id.UnmarshalText(text[:]); err != nil {
			return err
		}
		if s.pieces == MaxContent {
			return fmt.Errorf("an entry has more than %d pieces: %w", MaxContent, ErrNoTree)
		}
		if s.pieces++; s.piece != nil {
			s.piece(id)
		} else {
			s.ids = append(s.ids, id)
		}
		if err := s.expect('"'); err != nil {
			return err
		}
		if c, err = s.peek(); err != nil || c == ']' {
			return err
		}
		if err := s.expect(','); err != nil {
			return err
		}
	}
}
