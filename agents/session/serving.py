"""The web application that a LangGraph server (`langgraph dev`) puts around the machine.

It refuses requests from the pages of other sites, as our own servers do. By default that server answers them.
"""

from starlette.applications import Starlette
from starlette.middleware import Middleware

from tools.core.http_guard import HttpGuard

app = Starlette(middleware=[Middleware(HttpGuard)])
