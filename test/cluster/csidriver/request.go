package csidriver

import (
	"strconv"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stsbackup/stsbackup/test/cluster/csidriver/store"
)

// defaultSize is the size of a volume if the request names none; all sizes are a multiple of alignment.
const (
	defaultSize = 64 << 20
	alignment   = 4096
)

// requested reads the volume that a request asks for; its size is 0 if the request names none.
func requested(r *csi.CreateVolumeRequest) (store.Volume, error) {
	v := store.Volume{ID: store.VolumeID(r.GetName()), Name: r.GetName(), Size: r.GetCapacityRange().GetRequiredBytes()}
	v.Format = store.Format{Kind: store.Image, FSType: "ext4"}
	if r.GetName() == "" || len(r.GetVolumeCapabilities()) == 0 {
		return v, invalid("a name and capabilities are needed")
	}
	switch kind := store.Kind(r.GetParameters()["kind"]); kind {
	case "":
	case store.Image, store.Dir:
		v.Kind = kind
	default:
		return v, invalid("kind must be image or dir, not %q", kind)
	}
	for _, c := range r.GetVolumeCapabilities() {
		if err := supported(v.Kind, c); err != nil {
			return v, err
		}
		if c.GetBlock() != nil {
			v.Block = true
		}
	}
	if v.Block || v.Kind == store.Dir {
		v.FSType = ""
	}
	return v, nil
}

// supported says whether a kind of volume can be used in this way.
func supported(kind store.Kind, c *csi.VolumeCapability) error {
	if kind == store.Dir {
		if c.GetBlock() != nil {
			return invalid("a volume of kind dir is no block volume")
		}
		return nil
	}
	if fs := c.GetMount().GetFsType(); fs != "" && fs != "ext4" {
		return invalid("the file system is ext4, not %q", fs)
	}
	switch mode := c.GetAccessMode().GetMode(); mode {
	case csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER, csi.VolumeCapability_AccessMode_MULTI_NODE_SINGLE_WRITER:
		return invalid("access mode %s needs a class with kind: dir", mode)
	}
	return nil
}

// fitted decides a volume's size: at least the source's size and the size asked for, at most the limit.
func fitted(asked, source, limit int64) (int64, error) {
	size := asked
	if size == 0 {
		size = max(source, defaultSize)
	}
	if size < source {
		return 0, status.Errorf(codes.OutOfRange, "the source has %d bytes, only %d are asked for", source, size)
	}
	size = (size + alignment - 1) / alignment * alignment
	if limit > 0 && size > limit {
		return 0, status.Errorf(codes.OutOfRange, "%d bytes are more than the limit of %d", size, limit)
	}
	return size, nil
}

// page cuts one page out of n entries; tokens are positions.
func page(n int, token string, most int32) (from, to int, next string, err error) {
	if token != "" {
		if from, err = strconv.Atoi(token); err != nil || from < 0 || from > n {
			return 0, 0, "", status.Errorf(codes.Aborted, "%q is no token of ours", token)
		}
	}
	to = n
	if most > 0 && from+int(most) < n {
		to = from + int(most)
		next = strconv.Itoa(to)
	}
	return from, to, next, nil
}
