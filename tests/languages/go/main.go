// Uses what was generated, so that it has to be what a client would write.
package main

import (
	"context"
	"fmt"
	"io"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

func main() {
	connection, err := grpc.NewClient("unix:///nowhere", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	defer connection.Close()
	scope := &memsvcv1.Scope{UserId: "sarah"}
	fmt.Println(create(context.Background(), memsvcv1.NewMemoryServiceClient(connection), scope))
	fmt.Println(learn(context.Background(), memsvcv1.NewExtractionServiceClient(connection), scope))
}

func create(ctx context.Context, memories memsvcv1.MemoryServiceClient, scope *memsvcv1.Scope) error {
	_, err := memories.CreateMemory(ctx, &memsvcv1.CreateMemoryRequest{
		Scope:            scope,
		Memory:           &memsvcv1.Memory{Text: "Skis", Layer: memsvcv1.Layer_LAYER_PROFILE},
		ExpectedRevision: proto.Int64(0),
	})
	return err
}

func learn(ctx context.Context, extractions memsvcv1.ExtractionServiceClient, scope *memsvcv1.Scope) (int32, error) {
	stream, err := extractions.ExtractMemories(ctx, &memsvcv1.ExtractMemoriesRequest{Scope: scope})
	if err != nil {
		return 0, err
	}
	var tokens int32
	for {
		reply, err := stream.Recv()
		if err == io.EOF {
			return tokens, nil
		}
		if err != nil {
			return tokens, err
		}
		switch event := reply.GetEvent().GetEvent().(type) {
		case *memsvcv1.ExtractionEvent_Failed:
			if event.Failed.GetReason() == memsvcv1.Reason_name[int32(memsvcv1.Reason_REASON_MODEL_REFUSED)] {
				return tokens, nil
			}
		case *memsvcv1.ExtractionEvent_Completed:
			usage := event.Completed.GetExtraction().GetUsage()
			tokens += usage.GetInputTokens() + usage.GetOutputTokens()
		}
	}
}
