package catalog

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stsbackup/stsbackup/storage/repository"
)

// FuzzRecord checks that the decoder of records reads its own encoding as the same record, and reads nothing that
// Commit would not have written.
func FuzzRecord(f *testing.F) {
	at := time.Date(2026, 11, 21, 8, 12, 0, 0, time.UTC)
	for _, record := range []Record{
		{
			Version: RecordVersion, ID: "20261121T081200Z-3fa9", State: StateComplete, Cluster: "uid", Namespace: "demo", StatefulSet: "web",
			StatefulSetUID: "uid", Started: at, Finished: at.Add(time.Minute), Replicas: 3, OrdinalsStart: 1, Skew: time.Second, Tool: "1",
			Volumes: []Volume{{
				Ordinal: 1, Template: "www", Claim: "www-web-1", Capture: CaptureSnapshot, Cut: at, RepositorySnapshot: repository.Hash(nil).String(),
				Files: 1, Bytes: 2, Stored: 3, Problems: []string{"x: y"}, ProblemCount: 1, Changes: []string{"z: grew"}, ChangeCount: 2,
				Size: 1 << 30, StorageClass: "fast",
				AccessModes: []string{"ReadWriteOnce"}, Mode: "Filesystem", Labels: map[string]string{"a": "b"},
				Annotations: map[string]string{"c": "d"},
				Driver:      "csi.example.com", Node: "n1", Zone: "z",
			}},
		},
		{
			Version: RecordVersion, ID: "20261121T081200Z-3fa9", State: StateIncomplete, Namespace: "demo", StatefulSet: "web",
			Volumes: []Volume{{Claim: "www-web-0", Capture: CaptureLive, Error: "no"}}, LeftOut: []LeftOut{{What: "claim x", Why: "y"}},
		},
	} {
		data, err := json.MarshalIndent(record, "", "  ")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"version":99,"later":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		record, err := decodeRecord(data)
		if err != nil {
			return
		}
		if _, err := filesOf(Host(record.Namespace, record.StatefulSet), record, nil); err != nil {
			t.Fatalf("%s is read, and would not be written: %v", data, err)
		}
		first, err := json.Marshal(record)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := decodeRecord(first)
		if err != nil {
			t.Fatalf("%s cannot be read again: %v", first, err)
		}
		if second, err := json.Marshal(again); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%s was read as %s, %v", first, second, err)
		}
		_ = record.dataTime()
	})
}
