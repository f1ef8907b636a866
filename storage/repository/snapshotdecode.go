package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Limits on a repository snapshot. restic lets one name very many paths and exclude patterns, and a list of that many
// empty strings would take many times its own size in memory.
const (
	maxTags     = 1024
	maxTagBytes = 64 << 10
	// maxName bounds the host, user and program names.
	maxName = 4096
	// keptPaths and keptPathBytes bound how many paths are kept of a repository snapshot. Paths matter only for
	// whether all of them are the same.
	keptPaths     = 1024
	keptPathBytes = 64 << 10
)

// snapshotJSON is a Snapshot as it is read. Its lists hide those of Snapshot.
type snapshotJSON struct {
	snapshotFields
	Paths    pathList   `json:"paths"`
	Excludes passedOver `json:"excludes"`
	Tags     tagList    `json:"tags"`
}

// snapshotFields is Snapshot without its methods.
type snapshotFields Snapshot

// UnmarshalJSON reads a repository snapshot, and refuses impossible values. Of very many paths it keeps the first ones,
// and it does not read Excludes at all.
func (s *Snapshot) UnmarshalJSON(data []byte) error {
	var read snapshotJSON
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	*s = Snapshot(read.snapshotFields)
	s.Paths, s.Tags, s.Excludes = read.Paths, read.Tags, nil
	for what, name := range map[string]string{"hostname": s.Hostname, "username": s.Username, "program_version": s.ProgramVersion} {
		if len(name) > maxName {
			return fmt.Errorf("%s has %d bytes, more than the %d that are allowed", what, len(name), maxName)
		}
	}
	return nil
}

// passedOver is a field that is skipped.
type passedOver struct{}

// UnmarshalJSON takes anything.
func (passedOver) UnmarshalJSON([]byte) error { return nil }

// tagList is a list of tags. It is refused if it is longer than anybody needs.
type tagList []string

// UnmarshalJSON reads the list.
func (l *tagList) UnmarshalJSON(data []byte) error {
	tags, all, err := firstTexts(data, maxTags, maxTagBytes)
	if err == nil && !all {
		err = fmt.Errorf("has more than the %d tags, or the %d bytes of tags, that are allowed", maxTags, maxTagBytes)
	}
	*l = tags
	return err
}

// pathList is a list of paths, of which only the first ones are kept.
type pathList []string

// UnmarshalJSON reads the list.
func (l *pathList) UnmarshalJSON(data []byte) (err error) {
	*l, _, err = firstTexts(data, keptPaths, keptPathBytes)
	return err
}

// firstTexts reads the beginning of a list of strings, and says whether that was the whole list.
func firstTexts(data []byte, most, mostBytes int) (texts []string, all bool, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	open, err := decoder.Token()
	switch {
	case err != nil || open == nil:
		return nil, true, err
	case open != json.Delim('['):
		return nil, false, errors.New("is no list of strings")
	}
	texts = []string{}
	for decoder.More() {
		var text string
		if err := decoder.Decode(&text); err != nil {
			return nil, false, err
		}
		if mostBytes -= len(text); len(texts) == most || mostBytes < 0 {
			return texts, false, nil
		}
		texts = append(texts, text)
	}
	return texts, true, nil
}
