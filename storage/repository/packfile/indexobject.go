package packfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/stsbackup/stsbackup/storage/repository/format"
	"github.com/stsbackup/stsbackup/storage/repository/plainjson"
)

// entryJSONSize is roughly what one blob, or one pack, adds to an index object's JSON, in bytes.
const entryJSONSize = 150

// IndexObject is the JSON of an index object.
type IndexObject struct {
	Supersedes []format.ID `json:"supersedes,omitempty"`
	Packs      []Pack      `json:"packs"`
}

// Check reports values that no index object may have.
func (x IndexObject) Check() error {
	for _, pack := range x.Packs {
		if err := pack.Check(); err != nil {
			return fmt.Errorf("pack %s: %w", pack.ID.Short(), err)
		}
	}
	return nil
}

// JSONSize is roughly what the pack adds to an index object's JSON, in bytes.
func (p Pack) JSONSize() int { return (len(p.Blobs) + 1) * entryJSONSize }

func (x IndexObject) estimate() int {
	size := 0
	for _, pack := range x.Packs {
		size += pack.JSONSize()
	}
	return size
}

// AppendJSON appends an index object's JSON.
func (x IndexObject) AppendJSON(buf []byte) []byte {
	buf = append(slices.Grow(buf, x.estimate()), '{')
	if len(x.Supersedes) > 0 {
		buf = append(plainjson.AppendIDs(append(buf, `"supersedes":`...), x.Supersedes), ',')
	}
	buf = append(buf, `"packs":[`...)
	for i, pack := range x.Packs {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(plainjson.AppendID(append(buf, `{"id":`...), pack.ID), `,"blobs":[`...)
		for j, blob := range pack.Blobs {
			if j > 0 {
				buf = append(buf, ',')
			}
			buf = blob.appendJSON(buf)
		}
		buf = append(buf, "]}"...)
	}
	return append(buf, "]}"...)
}

func (b Blob) appendJSON(buf []byte) []byte {
	buf = plainjson.AppendID(append(buf, `{"id":`...), b.ID)
	buf = plainjson.AppendText(buf, `,"type":`, string(b.Type))
	buf = strconv.AppendUint(append(buf, `,"offset":`...), uint64(b.Offset), 10)
	buf = strconv.AppendUint(append(buf, `,"length":`...), uint64(b.Length), 10)
	buf = plainjson.AppendCount(buf, `,"uncompressed_length":`, uint64(b.UncompressedLength))
	return append(buf, '}')
}

var errImplausible = errors.New("lists more than anything of its size can")

// DecodeIndex reads the JSON of an index object, without judging its content.
func DecodeIndex(plain []byte) (object IndexObject, err error) {
	if !plausible(plain) {
		return IndexObject{}, errImplausible
	}
	if !decodeOrdinary(plain, &object) {
		err = json.Unmarshal(plain, &object)
	}
	return object, err
}

// EachPack reads the JSON of an index object and hands its packs to fn, one at a time, after checking each: there may
// be very many packs, which are never in memory all at once. If the object is not written in the ordinary way, fn may
// get its packs twice.
func EachPack(plain []byte, fn func(Pack)) error {
	if !plausible(plain) {
		return errImplausible
	}
	use := func(pack Pack) error {
		if err := pack.Check(); err != nil {
			return fmt.Errorf("pack %s: %w", pack.ID.Short(), err)
		}
		fn(pack)
		return nil
	}
	ordinary, err := eachOrdinary(plain, use)
	if ordinary || err != nil {
		return err
	}
	var object IndexObject
	if err := json.Unmarshal(plain, &object); err != nil {
		return err
	}
	for _, pack := range object.Packs {
		if err := use(pack); err != nil {
			return err
		}
	}
	return nil
}

// plausible tells an index object from JSON that would take very many times its own size when decoded, such as a list
// of a million empty elements. Each element costs a comma, and in real objects twenty other characters.
func plausible(data []byte) bool {
	const slack, perComma = 256, 12
	return bytes.Count(data, []byte{','}) <= (len(data)+slack)/perComma
}
