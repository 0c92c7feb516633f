"""Customer support: Alice, Bob and Carol write again and again; the agent learns from each conversation by itself."""

import os

from openai import OpenAI

from memsvc_client import MemoryClient

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5-mini")
TICKETS = [
    ("alice", "t1", "My name is Alice. My order is A-1001. I prefer to be called by phone."),
    ("bob", "t2", "My order is B-2002. I live in Leeds."),
    ("carol", "t3", "I'm allergic to latex. Please always write to me in Spanish."),
    ("alice", "t4", "Where is my order?"),
    ("bob", "t5", "I moved to York. Which address do you have?"),
    ("carol", "t6", "Do your gloves contain latex?"),
]


def main() -> None:
    model = OpenAI()
    with MemoryClient.local("tmp/customer_support.db") as client:
        customers = {name: client.user(name, agent_id="support") for name in ("alice", "bob", "carol")}
        for customer in customers.values():
            customer.erase()
        for name, ticket, line in TICKETS:
            customer = customers[name]
            known = customer.context(query=line, wait=True).text  # wait: what was said in the last ticket is learned
            system = {"role": "system", "content": f"You are a support agent. Answer from what is known.\n\n{known}"}
            said = {"role": "user", "content": line}
            reply = model.chat.completions.create(model=MODEL, messages=[system, said])
            answer = reply.choices[0].message.content or ""
            customer.append_run(ticket, [said, {"role": "assistant", "content": answer}])
            print(f"{name}: {line}\n  -> {answer}")
            if ticket == "t4":
                assert "A-1001" in answer
            if ticket == "t6":
                assert "latex" in answer

        contexts = {name: customer.context(wait=True).text for name, customer in customers.items()}
        assert "York" in contexts["bob"]
        assert "Leeds" not in contexts["bob"]
        assert "Spanish" in contexts["carol"]
        assert "A-1001" not in contexts["bob"] + contexts["carol"]


if __name__ == "__main__":
    main()
