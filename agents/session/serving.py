"""What a LangGraph server (`langgraph dev`) puts around the machine: other sites' pages are refused, as by our own servers.

Its own default answers every page that a browser visits.
"""

from starlette.applications import Starlette
from starlette.middleware import Middleware

from tools.core.http_guard import HttpGuard

app = Starlette(middleware=[Middleware(HttpGuard)])
