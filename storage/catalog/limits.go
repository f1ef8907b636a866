package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// Limits on a record. A real one stays far below: a StatefulSet with a thousand pods and three claims each has a record
// of 4 MiB. Whoever has a repository's password can write anything as a record, and one record must not keep the others
// from being read.
const (
	maxRecordSize = 8 << 20
	maxVolumes    = 8192
	// maxVolumeSize bounds the JSON of one volume. Kubernetes limits the annotations of a claim to 256 KiB, and JSON
	// takes up to six bytes for one of these.
	maxVolumeSize = 2 << 20
	// maxManifestSize bounds each manifest, and maxManifestsSize all of them: etcd limits the objects that they
	// describe.
	maxManifestSize  = 16 << 20
	maxManifestsSize = 64 << 20
	// maxPieces bounds how many pieces a file has. Commit makes pieces of 1 MiB.
	maxPieces = 1024
	// maxBytes bounds sizes, and the sums of sizes: 1 EiB.
	maxBytes = 1 << 60
)

// The times in records lie between these two, so that the time between any two of them, or between one of them and now,
// fits into a time.Duration, which ends at 292 years.
func firstTime() time.Time { return time.Unix(0, 0).UTC() }
func lastTime() time.Time  { return time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC) }

// checkTime refuses a time that no backup can have. The zero time means none.
func checkTime(what string, at time.Time) error {
	if at.IsZero() || !at.Before(firstTime()) && at.Before(lastTime()) {
		return nil
	}
	return fmt.Errorf("%s: the year %d is not possible", what, at.UTC().Year())
}

// checkNumbers refuses times, sizes and counts that no StatefulSet can have.
func (r Record) checkNumbers() error {
	if err := errors.Join(checkTime("id", timeOf(r.ID)), checkTime("started", r.Started), checkTime("finished", r.Finished)); err != nil {
		return err
	}
	if most := lastTime().Sub(firstTime()); r.Skew > most || r.Skew < -most {
		return fmt.Errorf("a skew of %s is not possible", r.Skew)
	}
	if r.Replicas < 0 || r.OrdinalsStart < 0 || r.OrdinalsStart > math.MaxInt32-r.Replicas {
		return fmt.Errorf("%d replicas from ordinal %d on are not possible", r.Replicas, r.OrdinalsStart)
	}
	if len(r.Volumes) > maxVolumes || len(r.LeftOut) > maxVolumes {
		return fmt.Errorf("names more than the %d volumes that are allowed", maxVolumes)
	}
	var bytes, stored, size int64
	for _, volume := range r.Volumes {
		err := checkTime("cut", volume.Cut)
		if volume.Ordinal < 0 || volume.Files < 0 || volume.ProblemCount < 0 || volume.ChangeCount < 0 {
			err = errors.Join(err, errors.New("a negative number is not possible"))
		}
		for _, sum := range []struct {
			sum   *int64
			value int64
		}{{&bytes, volume.Bytes}, {&stored, volume.Stored}, {&size, volume.Size}} {
			if sum.value < 0 || sum.value > maxBytes-*sum.sum {
				return fmt.Errorf("volume %.80q: a size of %d bytes is not possible", volume.Claim, sum.value)
			}
			*sum.sum += sum.value
		}
		if err != nil {
			return fmt.Errorf("volume %.80q: %w", volume.Claim, err)
		}
	}
	return nil
}

// checkData refuses a volume about which the record says nothing.
func (v Volume) checkData() error {
	if v.RepositorySnapshot == "" && v.Error == "" {
		return fmt.Errorf("volume %.80q has neither data nor an error", v.Claim)
	}
	return nil
}

// recordJSON is a Record whose lists are read element by element: package json would build a whole list before anyone
// could look at it, and an element of two bytes takes hundreds in memory.
type recordJSON struct {
	Record
	Volumes checkedList[Volume]  `json:"volumes"`
	LeftOut checkedList[LeftOut] `json:"leftOut"`
}

// checkedList is a list that has at most maxVolumes elements, of at most maxVolumeSize bytes each.
type checkedList[T any] []T

// UnmarshalJSON reads the list, and stops at the first impossible element.
func (l *checkedList[T]) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if open, err := decoder.Token(); err != nil || open == nil {
		*l = nil
		return err
	} else if open != json.Delim('[') {
		return errors.New("is no list")
	}
	list := checkedList[T]{}
	for decoder.More() {
		if len(list) == maxVolumes {
			return fmt.Errorf("a list of more than the %d elements that are allowed", maxVolumes)
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return err
		}
		if len(raw) > maxVolumeSize {
			return fmt.Errorf("element %d of a list has more than the %d bytes that are allowed", len(list), maxVolumeSize)
		}
		value, err := decodeElement[T](raw)
		if err != nil {
			return fmt.Errorf("element %d of a list: %w", len(list), err)
		}
		list = append(list, value)
	}
	*l = list
	return nil
}

func decodeElement[T any](raw []byte) (value T, err error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		return value, err
	}
	if volume, ok := any(value).(Volume); ok {
		return value, volume.checkData()
	}
	return value, nil
}
