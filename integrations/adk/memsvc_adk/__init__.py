"""memsvc for Google's Agent Development Kit: `Runner(..., plugins=[MemsvcPlugin(client)])`, or a memory service.

runner = Runner(app_name="helper", agent=agent, session_service=sessions, plugins=[MemsvcPlugin(client)])
runner.run_async(user_id="sarah", session_id="s1", new_message=...)
"""

from memsvc_adk.plugin import MemsvcPlugin
from memsvc_adk.service import MemsvcMemoryService

__all__ = ["MemsvcMemoryService", "MemsvcPlugin"]
