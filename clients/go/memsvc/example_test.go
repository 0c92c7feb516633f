package memsvc_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/memsvc/memsvc/clients/go/memsvc"
)

func Example() {
	ctx := context.Background()
	client, err := memsvc.New(address) // as "unix:///run/memsvc/memsvc.sock"
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ben := client.User("ben", memsvc.Agent("support"))
	if _, err := ben.Learn(ctx, memsvc.FromText("I am allergic to nuts."), nil); err != nil {
		log.Fatal(err)
	}
	known, err := ben.Context(ctx, "What may I eat?", &memsvc.ContextOptions{BareBlocks: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(known)
	// Output:
	// <user_profile>
	//   allergies: nuts
	// </user_profile>
}

func ExampleMemories_Upsert() {
	ctx, client := context.Background(), exampleClient()
	defer client.Close()
	memories := client.User("upsert").Memories
	languages, err := memories.Upsert(ctx, memsvc.LayerProfile, "stack.languages", []string{"Go", "Python"}, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(languages.GetText())
	topics := &memsvc.Memory{Topics: []string{"work"}}
	updated, err := memories.Update(ctx, memsvc.ByKey(memsvc.LayerProfile, "stack.languages"), topics, []string{"topics"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(updated.GetValueJson(), updated.GetTopics())
	// Output:
	// stack.languages: Go, Python
	// ["Go","Python"] [work]
}

func ExampleMemories_List() {
	ctx, client := context.Background(), exampleClient()
	defer client.Close()
	memories := client.User("list").Memories
	for _, text := range []string{"Plays the cello", "Skis"} {
		if _, err := memories.Add(ctx, &memsvc.Memory{Text: text, Topics: []string{"hobbies"}}, nil); err != nil {
			log.Fatal(err)
		}
	}
	options := &memsvc.ListOptions{
		Filter: &memsvc.Filter{TopicsAny: []string{"hobbies"}},
		Order:  memsvc.MemoryOrderCreateTimeAsc,
	}
	for memory, err := range memories.List(ctx, options) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(memory.GetText())
	}
	// Output:
	// Plays the cello
	// Skis
}

func ExampleMemories_Undo() {
	ctx, client := context.Background(), exampleClient()
	defer client.Close()
	memories := client.User("undo").Memories
	memory, err := memories.Add(ctx, &memsvc.Memory{Text: "Works at Acme"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := memories.Delete(ctx, memsvc.ByID(memory.GetMemoryId()), nil); err != nil {
		log.Fatal(err)
	}
	restored, err := memories.Undo(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(restored.GetCommit().GetRevision(), restored.GetCommit().GetChanges()[0].GetAfter().GetText())
	// Output: 3 Works at Acme
}

func ExampleUser_Extract() {
	ctx, client := context.Background(), exampleClient()
	defer client.Close()
	said := memsvc.FromMessages(memsvc.UserMessage("I am allergic to nuts."), memsvc.AssistantMessage("I see."))
	for event, err := range client.User("extract").Extract(ctx, said, nil) {
		if err != nil {
			log.Fatal(err)
		}
		switch event := event.GetEvent().(type) {
		case *memsvc.Committed:
			for _, change := range event.Committed.GetCommit().GetChanges() {
				fmt.Println(change.GetAfter().GetText())
			}
		case *memsvc.Failed:
			fmt.Println("nothing was learned:", event.Failed.GetReason())
		case *memsvc.Completed:
			fmt.Println(event.Completed.GetExtraction().GetState())
		}
	}
	// Output:
	// Is allergic to nuts
	// EXTRACTION_STATE_SUCCEEDED
}

func ExampleUser_Watch() {
	ctx, client := context.Background(), exampleClient()
	defer client.Close()
	user := client.User("watch")
	if _, err := user.Memories.Add(ctx, &memsvc.Memory{Text: "There before"}, nil); err != nil {
		log.Fatal(err)
	}
	for event, err := range user.Watch(ctx, &memsvc.WatchOptions{SendInitial: true}) {
		if err != nil {
			log.Fatal(err)
		}
		switch event := event.GetEvent().(type) {
		case *memsvc.Present:
			fmt.Println(event.Initial.GetText())
		case *memsvc.PresentDone:
			if _, err := user.Memories.Add(ctx, &memsvc.Memory{Text: "New"}, nil); err != nil {
				log.Fatal(err)
			}
		case *memsvc.Changed:
			fmt.Println(event.Commit.GetChanges()[0].GetAfter().GetText())
			return
		}
	}
	// Output:
	// There before
	// New
}

func ExampleError() {
	ctx, client := context.Background(), exampleClient()
	defer client.Close()
	memories := client.User("error").Memories
	for _, text := range []string{"Nurse", "Vet"} {
		_, err := memories.Add(ctx, &memsvc.Memory{Text: text, Layer: memsvc.LayerProfile, Key: "role", MemoryId: text}, nil)
		var failure *memsvc.Error
		if errors.As(err, &failure) {
			fmt.Println(failure.Code, failure.Reason, failure.Metadata["memory_id"])
		}
	}
	// Output: AlreadyExists KEY_TAKEN Nurse
}

func ExampleWithContextOrEmpty() {
	client, err := memsvc.New("127.0.0.1:1", memsvc.WithContextOrEmpty(), memsvc.FailFast())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	known, err := client.User("sarah").Context(context.Background(), "How do I clean data?", nil)
	fmt.Printf("%q %v %v\n", known, known.Failure.Code, err)
	// Output: "" Unavailable <nil>
}

func exampleClient() *memsvc.Client {
	client, err := memsvc.New(address)
	if err != nil {
		log.Fatal(err)
	}
	return client
}
