# Tests of the connection itself, with networks and servers of their own.
add_library(pool_connection_support STATIC hostile.c relay.c tls_server.c)
target_link_libraries(pool_connection_support PUBLIC pool_test_support)

foreach(topic busy_setup deadline dirt fence hostile raw setup tls)
  herdgate_criterion(test_pool_${topic} test_${topic}.c)
  target_link_libraries(test_pool_${topic} PRIVATE pool_connection_support)
endforeach()

herdgate_plain(test_pool_addresses test_addresses.c)
target_link_libraries(test_pool_addresses PRIVATE pool_test_support)
set_tests_properties(test_pool_addresses PROPERTIES SKIP_RETURN_CODE 77)

herdgate_plain(test_pool_poison test_poison.c)
target_link_libraries(test_pool_poison PRIVATE pool_test_support)
