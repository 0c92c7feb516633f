// Package memsvc is the client of memsvc, the memory service of AI agents.
//
// A [Client] is a connection to a server. [Client.User] binds a user once; what is known of that user is then compiled
// for a prompt, learned from conversations, searched, changed and watched:
//
//	client, err := memsvc.New("unix:///run/memsvc/memsvc.sock") // or "host:port", or "tls://host:port"
//	sarah := client.User("sarah", memsvc.Agent("support"))
//	known, err := sarah.Context(ctx, "How do I clean data?", nil)
//	receipt, err := sarah.AppendRun(ctx, "s1", []*memsvc.Message{memsvc.UserMessage("I love pandas.")}, nil)
//
// # Values
//
// What goes in and comes out are the messages of the API, under their names here: [Memory] is memsvcv1.Memory. So nothing
// of what a newer server says is lost, and their getters are safe on nil. Times are timestamppb.New(t) and AsTime().
// What a call may be told besides is its options, a pointer to a struct; nil means none.
//
// # Lists and streams
//
// Lists are iterators whose pages are fetched as they are needed; streams are iterators of events. Both end after the
// first error. Leaving the loop ends the stream, and leaves nothing behind:
//
//	for memory, err := range sarah.Memories.List(ctx, nil) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(memory.GetText())
//	}
//
// A stream takes up a broken connection where it broke, on any server: what is stored comes once, and nothing is missed.
// It looks for a server for a minute; before its first event as long as a call would.
//
// # Deadlines, retries, errors
//
// A context with a deadline is obeyed. A call whose context has none ends after 10 seconds ([WithTimeout]), [User.Context],
// which a user waits for, after 3 ([WithContextTimeout]); what the server was asked to wait comes on top.
//
// Every write carries a request id, so that it may be sent again and happens once. A call waits for a server that is not
// there, or that is being restarted, until its deadline ([FailFast] changes that). Where the server itself says that it is
// unavailable, its database does not answer for instance, the call gives up after five attempts.
//
// Every failure of a call is an [*Error], with a code, a reason to switch on and the fields that are wrong; an
// [*ArgumentError] is a mistake that was seen before anything was sent:
//
//	var failure *memsvc.Error
//	if errors.As(err, &failure) && failure.Reason == memsvc.ReasonKeyTaken {
//		holder := failure.Metadata["memory_id"]
//	}
package memsvc
