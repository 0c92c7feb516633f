package memsvc

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

// Which names a memory: ByID or ByKey.
type Which struct {
	id      string
	address *memsvcv1.KeyAddress
}

// ByID names a memory by its id.
func ByID(memoryID string) Which {
	return Which{id: memoryID}
}

// ByKey names a memory by its place: its layer and key.
func ByKey(layer Layer, key string) Which {
	return Which{address: &memsvcv1.KeyAddress{Layer: layer, Key: key}}
}

func (w Which) check() error {
	if w.address == nil && w.id == "" || w.address != nil && (w.address.Layer == 0 || w.address.Key == "") {
		return wrong("which", "a memory is named by its id, or by layer and key")
	}
	return nil
}

// changed returns a memory with the new values, at the place that is named, and the mask of what is set.
func (w Which) changed(values *Memory, etag string, paths []string) (*Memory, *fieldmaskpb.FieldMask, error) {
	if err := w.check(); err != nil {
		return nil, nil, err
	}
	if len(paths) == 0 {
		return nil, nil, wrong("paths", "nothing to update: name at least one field, as topics or value_json")
	}
	memory := &Memory{}
	if values != nil {
		memory = proto.Clone(values).(*Memory)
	}
	if w.address == nil {
		memory.MemoryId = w.id
	} else {
		memory.Layer, memory.Key = w.address.Layer, w.address.Key
	}
	if etag != "" {
		memory.Etag = etag
	}
	return memory, &fieldmaskpb.FieldMask{Paths: paths}, nil
}

// CreateOperation creates a memory, in a batch.
func CreateOperation(memory *Memory) *Operation {
	create := &memsvcv1.CreateOperation{Memory: memory}
	return &Operation{Operation: &memsvcv1.BatchWriteOperation_Create{Create: create}}
}

// UpdateOperation sets the fields of a memory that paths names, in a batch. An etag in values guards it.
func UpdateOperation(which Which, values *Memory, paths ...string) *Operation {
	memory := &Memory{}
	if values != nil {
		memory = proto.Clone(values).(*Memory)
	}
	memory.MemoryId, memory.Layer, memory.Key = which.id, which.address.GetLayer(), which.address.GetKey()
	update := &memsvcv1.UpdateOperation{Memory: memory, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}}
	return &Operation{Operation: &memsvcv1.BatchWriteOperation_Update{Update: update}}
}

// DeleteOperation deletes a memory, in a batch.
func DeleteOperation(which Which) *Operation {
	removal := &memsvcv1.DeleteOperation{Target: &memsvcv1.DeleteOperation_MemoryId{MemoryId: which.id}}
	if which.address != nil {
		removal.Target = &memsvcv1.DeleteOperation_Address{Address: which.address}
	}
	return &Operation{Operation: &memsvcv1.BatchWriteOperation_Delete{Delete: removal}}
}
