"""memsvc for the OpenAI Agents SDK: a session that remembers, instructions that know its user, and tools.

agent = Agent(name="Helper", instructions=memsvc_instructions("Be brief."))
session = MemsvcSession(AsyncMemoryClient("unix:///run/memsvc/memsvc.sock"), "sarah", "s1")
await Runner.run(agent, "I ski at Tahoe", session=session, context=session)
"""

from memsvc_openai_agents.instructions import memsvc_instructions
from memsvc_openai_agents.session import MemsvcSession
from memsvc_openai_agents.tools import amemsvc_tools, memsvc_tools

__all__ = ["MemsvcSession", "amemsvc_tools", "memsvc_instructions", "memsvc_tools"]
